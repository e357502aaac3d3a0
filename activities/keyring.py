"""The keys that environments sign with.

An environment's private key is the file ``<environment>.pem`` in the key folder of its own workers, for them
alone to read. Its public key stands in ``environments/<environment>.yaml``, as ``key: ed25519:<base64>``.
"""

import os
import stat
from base64 import b64decode, b64encode
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final
from uuid import uuid4

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from activities.ports import BadSealError, NoKeyError, Settings
from activities.remembering import Remembered
from domain.terms import Sealed
from domain.value import Digest, digest_of

_ALGORITHM: Final = "ed25519:"
Mark = tuple[str, str, Digest]
"""A key, a signature, and what it signs."""


class Keyring:
    """Signs with the keys in a folder, and checks by the public keys in the configuration as it is now."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder
        self._settings = settings
        self._good = Remembered[Mark, bool]()
        """What this worker signed or has checked: papers that tell of each other are opened again and again."""

    def seal(self, environment: str, kind: str, body: str) -> Sealed:
        key = self._own_key(environment)
        unsigned = Sealed(kind=kind, environment=environment, key=_public(key), body=body, signature="")
        sealed = unsigned.but(signature=_text(key.sign(unsigned.signed_text)))
        self._good.note(_mark(sealed), value=True)
        return sealed

    def open(self, sealed: Sealed, environment: str, kind: str) -> str:
        if sealed.environment != environment:
            raise _bad(kind, environment, f"it was sealed by {sealed.environment}")
        if sealed.kind != kind:
            raise _bad(kind, environment, f"it was sealed as a {sealed.kind}")
        trusted = self._trusted_key(environment)
        if sealed.key != trusted:
            self._need_own_key(sealed, environment)
            raise _bad(kind, environment, f"its key is not the one in environments/{environment}.yaml")
        mark = _mark(sealed)
        if not self._good.of(mark):
            try:
                _parse(trusted).verify(_bytes(sealed.signature), sealed.signed_text)
            except (InvalidSignature, ValueError) as error:
                raise _bad(kind, environment, "its text is not the one that was signed") from error
            self._good.note(mark, value=True)
        return sealed.text

    def check(self, environment: str) -> None:
        """Raise ``NoKeyError`` where this worker could not sign for the environment."""
        self._own_key(environment)

    def _need_own_key(self, sealed: Sealed, environment: str) -> None:
        """Raise ``NoKeyError`` where this very worker has sealed it: then the configuration is wrong."""
        with suppress(OSError):
            if (
                _file(self._folder, environment).exists()
                and _public(_load(self._folder, environment)) == sealed.key
            ):
                self._own_key(environment)

    def _own_key(self, environment: str) -> Ed25519PrivateKey:
        key = _load(self._folder, environment)
        if _public(key) != self._trusted_key(environment):
            raise NoKeyError(
                f"The key “{_file(self._folder, environment)}” is not the one that "
                f"environments/{environment}.yaml names. Restore the right one, or write there: "
                f"key: {_public(key)}"
            )
        return key

    def _trusted_key(self, environment: str) -> str:
        """Return the public key as it is configured now: read each time, since people replace keys."""
        found = self._settings.about(environment=environment).environments.get(environment)
        if not found:
            raise NoKeyError(
                f"No seal of {environment} can be made or checked: there is no "
                f"environments/{environment}.yaml. Add the environment to the configuration."
            )
        try:
            _parse(found.key)
        except ValueError as error:
            raise NoKeyError(
                f"No seal of {environment} can be made or checked: environments/{environment}.yaml has no "
                "key of the form ed25519:<base64>. Add its public key there."
            ) from error
        return found.key


def make_key(folder: Path, environment: str) -> str:
    """Make an environment's private key where there is none, and return its public key.

    A key that exists is never written over. Raises ``NoKeyError`` where it cannot be read.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = _file(folder, environment)
    if not file.exists():
        made = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        unfinished = file.with_name(f".{file.name}.{uuid4().hex}")
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(made)
                opened.flush()
                os.fsync(descriptor)
            # A link, unlike a rename, never replaces: of two who make it at once, one key remains.
            with suppress(FileExistsError):
                file.hardlink_to(unfinished)
        finally:
            unfinished.unlink(missing_ok=True)
    return _public(_load(folder, environment))


def _file(folder: Path, environment: str) -> Path:
    return folder / f"{environment}.pem"


def _load(folder: Path, environment: str) -> Ed25519PrivateKey:
    file = _file(folder, environment)
    try:
        found = file.stat()
        content, mode = _content(file, found.st_ino, found.st_ctime_ns, found.st_mtime_ns)
    except OSError as error:
        raise NoKeyError(
            f"This worker cannot seal for {environment}: its key “{file}” cannot be read "
            f"({error.strerror}). Put the environment's private key there, or leave {environment} to the "
            "workers that have it."
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise NoKeyError(
            f"This worker will not seal for {environment}: others may read its key “{file}” ({mode:04o}). "
            f"Make it yours alone: chmod 600 “{file}”. If others could read it for long, replace it."
        )
    try:
        return _private(content)
    except (TypeError, ValueError) as error:
        raise _not_a_key(file, environment) from error


@lru_cache(maxsize=64)
def _content(file: Path, *seen: int) -> tuple[bytes, int]:
    """Read a key file and its mode once, for as long as it is the file that was ``seen``."""
    del seen
    with file.open("rb") as opened:
        return opened.read(), stat.S_IMODE(os.fstat(opened.fileno()).st_mode)


@lru_cache(maxsize=64)
def _private(pem: bytes) -> Ed25519PrivateKey:
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise TypeError(type(key).__name__)
    return key


def _not_a_key(file: Path, environment: str) -> NoKeyError:
    return NoKeyError(
        f"This worker cannot seal for {environment}: “{file}” is not an Ed25519 private key in PEM. "
        "Restore it."
    )


def _mark(sealed: Sealed) -> Mark:
    return sealed.key, sealed.signature, digest_of(sealed.signed_text)


def _bad(kind: str, environment: str, why: str) -> BadSealError:
    return BadSealError(
        f"This {kind} of {environment} was not believed: {why}. Somebody altered it, or keys were replaced; "
        "find out which before anything else is done here."
    )


def _public(key: Ed25519PrivateKey) -> str:
    return _ALGORITHM + _text(key.public_key().public_bytes_raw())


@lru_cache(maxsize=64)
def _parse(key: str) -> Ed25519PublicKey:
    if not key.startswith(_ALGORITHM):
        message = "not an ed25519 key"
        raise ValueError(message)
    return Ed25519PublicKey.from_public_bytes(_bytes(key.removeprefix(_ALGORITHM)))


def _text(content: bytes) -> str:
    return b64encode(content).decode()


def _bytes(text: str) -> bytes:
    """Read base64 that is written in the one canonical way: no two texts are the same signature."""
    content = b64decode(text, validate=True)
    if _text(content) != text:
        message = "not canonical base64"
        raise ValueError(message)
    return content
