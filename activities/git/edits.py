"""What a git target writes into one file, and what it reads there: text to text, without git."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from activities.git.settings import Write
from activities.ports import Deed, TargetRefusalError
from activities.yaml_edits import Scalar, get, put, put_as_in, put_beside, put_item
from activities.yaml_paths import Key, Match, Path, read_path, say_path
from activities.yaml_places import NoPlaceError
from domain.environment import Placement

_IMAGES: Final = "images"
_MARK: Final = "\ufeff"
_NAMED: Final = re.compile(r"\{([a-z]+)\}")

Values = Mapping[str, str | None]
"""What stands at each place that is written, by the place's name; None where nothing does."""


def filled(template: Scalar, deed: Deed) -> Scalar:
    """Return what is to be written for a deed. Raises ``TargetRefusalError`` where the release does not say."""
    if not isinstance(template, str) or not isinstance(deed.after, Placement):
        return template
    known = {
        "version": deed.after.version,
        "release": deed.after.release,
        "digest": deed.after.artifact,
        "image": deed.image,
        "repository": deed.image.partition("@")[0],
        "service": deed.subject.service,
        "environment": deed.subject.environment,
        "component": deed.component,
    }
    for name in _NAMED.findall(template):
        if not known[name]:
            raise TargetRefusalError(
                f"“{template}” cannot be filled: {deed.component} of {deed.after.version} is files, not a container "
                "image. Create the release with oci://…@sha256:… for it, or write {version} or {digest}."
            )
    return _NAMED.sub(lambda found: known[found[1]], template)


def _places(write: Write) -> Iterator[tuple[str, Path]]:
    """Yield each value's name and path."""
    if write.path is not None:
        document = "".join(f"({key}={value})" for key, value in write.document.items())
        yield f"{write.where}:{document}{write.path}", read_path(write.path)
    elif write.image is not None:
        for key in write.of_image:
            path = (Key(_IMAGES), Match("name", write.image), Key(key))
            yield f"{write.where}:{say_path(path)}", path


def seen(write: Write, text: str | None) -> dict[str, str | None]:
    """Return what a file says at the places of a write. Raises ``NoPlaceError`` where it cannot be read."""
    return {
        name: None if text is None else get(_bare(text), path, write.document, is_json=_is_json(write))
        for name, path in _places(write)
    }


def edited(write: Write, text: str, deed: Deed) -> str:
    """Return the file with the write done. Raises ``NoPlaceError`` and ``TargetRefusalError``."""
    bare = _bare(text)
    if write.value is not None:
        [(_, path)] = _places(write)
        bare = put(bare, path, write.document, filled(write.value, deed), is_json=_is_json(write))
    else:
        bare = _with_image(
            write, bare, {key: str(filled(said, deed)) for key, said in write.of_image.items()}
        )
    return _mark(text) + bare


def put_back(write: Write, text: str, captured: str) -> str:
    """Return the file with each value of the write as it was captured. Raises ``NoPlaceError`` where it cannot be."""
    bare, before = _bare(text), seen(write, captured)
    for name, path in _places(write):
        if before[name] == get(bare, path, write.document, is_json=_is_json(write)):
            continue
        if before[name] is None:
            raise NoPlaceError(
                f"{say_path(path)} was not there before, and the lines around it have changed since"
            )
        bare = put_as_in(bare, path, write.document, _bare(captured), is_json=_is_json(write))
    return _mark(text) + bare


def _with_image(write: Write, text: str, wanted: Mapping[str, str]) -> str:
    entry = (Key(_IMAGES), Match("name", write.image or ""))
    if get(text, (*entry, Key("name")), {}) is None:
        return put_item(text, _IMAGES, {"name": write.image or "", **wanted})
    if "digest" not in wanted and get(text, (*entry, Key("digest")), {}) is not None:
        raise NoPlaceError(
            f"{say_path(entry)} has a digest, which wins over a tag; write digest: too, or remove it there"
        )
    missing = {}
    for key, value in wanted.items():
        if get(text, (*entry, Key(key)), {}) is None:
            missing[key] = value
        else:
            text = put(text, (*entry, Key(key)), {}, value)
    return put_beside(text, (*entry, Key("name")), {}, missing) if missing else text


def _is_json(write: Write) -> bool:
    return write.where.casefold().endswith(".json")


def _bare(text: str) -> str:
    return text.removeprefix(_MARK)


def _mark(text: str) -> str:
    return _MARK if text.startswith(_MARK) else ""
