"""Writing an environment's public key where everybody looks for it."""

import os
import re
import stat
from pathlib import Path
from typing import Final
from uuid import uuid4

from pydantic import JsonValue

from activities.yaml_lines import UnreadableError, read_yaml
from domain.configuration_files import environment_file

_KEY: Final = re.compile(r"""^key:[ \t]*("[^"\r\n]*"|'[^'\r\n]*'|[^\s#]*)""", re.MULTILINE)
_NAME: Final = re.compile(r"^environment:[^\r\n]*(\r?\n|$)", re.MULTILINE)


class KeyNotPublishedError(Exception):
    """The key could not be written. The text is a sentence, with the line to write by hand."""


def publish_key(folder: Path, environment: str, key: str) -> bool:
    """Set ``key:`` in ``environments/<environment>.yaml``, and change nothing else in it.

    Return whether the file was changed. Raises ``KeyNotPublishedError``.
    """
    file = folder / environment_file(environment)
    try:
        real = file.resolve(strict=True)
        before = real.read_bytes().decode()
        content = _content(before)
        if content.get("key") == key:
            return False
        after = _with_key(before, key)
        if _content(after) != content | {"key": key}:
            raise _not_published(file, key, "it is not written a key a line")
        _replace(real, after.encode())
    except OSError as error:
        raise _not_published(file, key, error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise _not_published(file, key, "it is not UTF-8 text") from error
    except UnreadableError as error:
        raise _not_published(file, key, error.problem) from error
    return True


def _not_published(file: Path, key: str, why: str) -> KeyNotPublishedError:
    return KeyNotPublishedError(
        f"The public key of {file.stem} could not be written to “{file}”: {why}. Write there: key: {key}"
    )


def _content(text: str) -> dict[str, JsonValue]:
    root = read_yaml(text).root
    plain = root.plain() if root else None
    return plain if isinstance(plain, dict) else {}


def _with_key(text: str, key: str) -> str:
    """Return the text with its key set: in the line it has, else in one after the environment's name."""
    if _KEY.search(text):
        return _KEY.sub(lambda _: f"key: {key}", text, count=1)
    if not (named := _NAME.search(text)):
        return text
    end = named[1] or "\n"
    line = named[0] if named[1] else named[0] + end
    return f"{text[: named.start()]}{line}key: {key}{end}{text[named.end() :]}"


def _replace(file: Path, content: bytes) -> None:
    """Put another file in this one's place, whole, with the same rights."""
    mode = stat.S_IMODE(file.stat().st_mode)
    if not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise PermissionError(0, "it is marked as read-only")
    unfinished = file.with_name(f".{file.name}.{uuid4().hex}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(descriptor)
        unfinished.chmod(mode)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
