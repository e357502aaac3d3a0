"""Secrets by reference: ``env:NAME`` or ``file:PATH``, looked up right before they are used."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from domain.notice import is_reference


class NoSecretError(Exception):
    """A reference leads to nothing. The text is a sentence for people, without the secret."""


def _check(text: str) -> str:
    if not is_reference(text) or not text.partition(":")[2].strip():
        message = "a secret is not written here; name where it is kept, as env:NAME or file:PATH"
        raise ValueError(message)
    return text


Reference = Annotated[str, AfterValidator(_check)]


def look_up(reference: str, folder: Path, variables: Mapping[str, str]) -> str:
    """Return what a reference leads to, without outer space. Raises ``NoSecretError``."""
    kind, _, name = reference.partition(":")
    secret = (_variable(name.strip(), variables) if kind == "env" else _file(folder / name.strip())).strip()
    if not secret:
        raise NoSecretError(f"{reference} is empty: write the secret there")
    return secret


def _variable(name: str, variables: Mapping[str, str]) -> str:
    if name not in variables:
        raise NoSecretError(
            f"the variable {name} is not set on this worker: set it, and start the worker anew"
        )
    return variables[name]


def _file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise NoSecretError(f"the file {path.name} cannot be read on this worker: {why}") from None
