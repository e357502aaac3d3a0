"""What an auditor takes along: a folder that is checked by itself, with no store, no server and no network."""

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from activities.ports import NotInStoreError, Store
from activities.stores import open_store
from domain.configuration_files import ORGANISATION_FILE, REVOKED_KEYS_FILE, SIGNERS_FILE, environment_file
from domain.value import digest_of

ROOM: Final = "store"
SUMS: Final = "SHA256SUMS"
OF_A_LANE: Final = ("receipt", "journal", "record", "ledger", "review")
OF_A_SERVICE: Final = ("release", "quarantine")
OF_AN_ENVIRONMENT: Final = ("gate", "logbook")
LEFT_OUT: Final = ("artifact", "logs")
"""What is large, and no paper is checked by: the content of a release stands in its manifest, by its digest."""
AT_ONCE: Final = 8
ROUNDS: Final = 10
"""How often the store is gone through for what came while papers were copied."""
README: Final = """# Evidence

This folder is checked by itself. It needs Towpath, OpenSSH's `ssh-keygen`, and nothing else: no server, no network.

    sha256sum --check --quiet {sums}
    TOWPATH_CONFIG=. towpath audit verify
    TOWPATH_CONFIG=. towpath audit show

`store` holds the sealed papers as they are in the release store, without the releases themselves. `environments` holds
the public keys that they are checked by, `allowed_signers` and `revoked_keys` the people: as they were when this was
written, {at}. Whoever wrote this folder chose them. Compare them with those that you got yourself, or put yours in
their place.
"""


class BundleError(Exception):
    """It was not written. The text is a sentence."""


class Bundle:
    """Writes one, of all that is kept, or of one service or environment."""

    def __init__(self, store: Store, folder: Path, keys: Mapping[str, str]) -> None:
        """``folder`` has the people's keys; ``keys`` are the environments' public ones."""
        self._store = store
        self._folder = folder
        self._keys = keys

    def begin(self, into: Path, environment: str, at: str) -> None:
        """Write all that papers are checked by, into a folder that is empty or not there.

        Raises ``BundleError`` where there is something already, and ``OSError``.
        """
        if into.exists() and not (into.is_dir() and not any(into.iterdir())):
            why = f"{into} is there already, and evidence is not mixed with anything: name a folder that is not there."
            raise BundleError(why)
        _write(into / ORGANISATION_FILE, f"store: {ROOM}\n")
        for name, key in self._keys.items():
            if environment in {"", name}:
                _write(into / environment_file(name), f"environment: {name}\nkey: {key}\n")
        for name in (SIGNERS_FILE, REVOKED_KEYS_FILE):
            if (self._folder / name).is_file():
                (into / name).write_bytes((self._folder / name).read_bytes())
        _write(into / "README.md", README.format(sums=SUMS, at=at))

    async def copy(self, into: Path, service: str, environment: str) -> None:
        """Copy the papers to the letter. Raises ``BundleError``, and ``StoreError`` as the store does.

        Papers name one another, and come while others are copied: so it goes round until none has come.
        """
        there = open_store(ROOM, into)
        copied: set[str] = set()
        for _ in range(ROUNDS):
            before = len(copied)
            for prefix, kept in _wanted(service, environment):
                keys = [
                    key for key in await self._store.list(prefix) if not kept or key.split("/")[2] == kept
                ]
                keys = [key for key in keys if key not in copied]
                for first in range(0, len(keys), AT_ONCE):
                    await asyncio.gather(
                        *(self._copy_one(key, there) for key in keys[first : first + AT_ONCE])
                    )
                copied.update(keys)
            if len(copied) == before:
                break

    async def _copy_one(self, key: str, there: Store) -> None:
        try:
            content = await self._store.read(key)
        except NotInStoreError as error:
            raise BundleError(f"“{key}” went away while the evidence was written: write it again.") from error
        await there.create(key, content)


def seal(folder: Path) -> str:
    """List every file that is in a folder now, and return the digest of that list: it stands for all of them."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.relative_to(folder).as_posix()}\n"
        for file in files
    ]
    content = "".join(lines)
    _write(folder / SUMS, content)
    return digest_of(content.encode())


def _wanted(service: str, environment: str) -> Iterator[tuple[str, str]]:
    """Yield where to look, and of which environment alone what is there is wanted."""
    yield from (("/".join(filter(None, (room, service))), environment) for room in OF_A_LANE)
    yield from (("/".join(filter(None, (room, service))), "") for room in OF_A_SERVICE)
    yield from (("/".join(filter(None, (room, environment))), "") for room in OF_AN_ENVIRONMENT)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
