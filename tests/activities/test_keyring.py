import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from activities.keyring import Keyring, make_key
from activities.ports import BadSealError, NoKeyError
from domain.configuration import Configuration
from domain.configuration_files import EnvironmentFile
from domain.terms import Sealed

BODY = '{"turn":7,"after":"ümlaut"}'


class FakeSettings:
    """A configuration that a test may change under way."""

    def __init__(self, **keys: str) -> None:
        self.keys = keys

    def about(self, service: str = "", environment: str = "") -> Configuration:
        del service, environment
        return self.current()

    def shared(self) -> Configuration:
        return self.current()

    def current(self) -> Configuration:
        files = {name: EnvironmentFile(environment=name, key=key) for name, key in self.keys.items()}
        return Configuration(environments=files)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def trusted(folder: Path) -> FakeSettings:
    return FakeSettings(dev=make_key(folder, "dev"), production=make_key(folder, "production"))


@pytest.fixture
def keyring(folder: Path, trusted: FakeSettings) -> Keyring:
    return Keyring(folder, trusted)


def test_sealed_text_comes_back(keyring: Keyring) -> None:
    """What an environment sealed is opened as that, byte for byte."""
    sealed = keyring.seal("production", "receipt", BODY)

    assert keyring.open(sealed, "production", "receipt") == BODY


def test_seal_survives_its_journey(keyring: Keyring) -> None:
    """A seal read back from JSON is as good."""
    sealed = Sealed.model_validate_json(keyring.seal("production", "receipt", BODY).canonical())

    assert keyring.open(sealed, "production", "receipt") == BODY


def test_anybody_with_the_public_key_can_check(
    keyring: Keyring, trusted: FakeSettings, tmp_path: Path
) -> None:
    """Who cannot sign for an environment can still check what it signed."""
    sealed = keyring.seal("production", "receipt", BODY)

    assert Keyring(tmp_path / "empty", trusted).open(sealed, "production", "receipt") == BODY


FORGERIES: dict[str, Callable[[Keyring, Sealed], Sealed]] = {
    "body": lambda _, sealed: sealed.but(body=BODY.replace("7", "8")),
    "kind": lambda keyring, _: keyring.seal("production", "evidence", BODY),
    "kind that only says so": lambda keyring, _: keyring.seal("production", "evidence", BODY).but(
        kind="receipt"
    ),
    "environment": lambda keyring, _: keyring.seal("dev", "receipt", BODY),
    "environment that only says so": lambda keyring, _: keyring.seal("dev", "receipt", BODY).but(
        environment="production"
    ),
    "environment and key that only say so": lambda keyring, sealed: keyring.seal("dev", "receipt", BODY).but(
        environment="production", key=sealed.key
    ),
    "no signature": lambda _, sealed: sealed.but(signature=""),
    "signature in another alphabet": lambda _, sealed: sealed.but(signature="é" + sealed.signature[1:]),
    "signature with a space": lambda _, sealed: sealed.but(signature=sealed.signature + " "),
    "another one's signature": lambda keyring, sealed: sealed.but(
        signature=keyring.seal("production", "receipt", "{}").signature
    ),
    "no key": lambda _, sealed: sealed.but(key=""),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_forgery_is_refused(keyring: Keyring, forge: Callable[[Keyring, Sealed], Sealed]) -> None:
    """A seal opens only what that environment signed, as the kind that is asked for."""
    forged = forge(keyring, keyring.seal("production", "receipt", BODY))

    with pytest.raises(BadSealError, match="This receipt of production was not believed: "):
        keyring.open(forged, "production", "receipt")


def test_environments_that_share_a_key_stay_apart(keyring: Keyring, trusted: FakeSettings) -> None:
    """What dev sealed says nothing of production, even where somebody gave both one key."""
    sealed = keyring.seal("dev", "receipt", BODY)
    trusted.keys["production"] = trusted.keys["dev"]

    with pytest.raises(BadSealError, match="it was sealed by dev"):
        keyring.open(sealed, "production", "receipt")


def test_foreign_key_is_refused(keyring: Keyring, tmp_path: Path) -> None:
    """A key of one's own making opens nothing, however well it signs."""
    own = Keyring(tmp_path / "own", FakeSettings(production=make_key(tmp_path / "own", "production")))

    with pytest.raises(BadSealError, match=r"its key is not the one in environments/production\.yaml"):
        keyring.open(own.seal("production", "receipt", BODY), "production", "receipt")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(part=st.sampled_from(["body", "signature"]), position=st.integers(0, 200), bit=st.integers(0, 6))
def test_any_flipped_bit_is_refused(keyring: Keyring, part: str, position: int, bit: int) -> None:
    """No bit of text or signature can be another one."""
    sealed = keyring.seal("production", "receipt", '{"turn":7,"after":"ascii"}')
    text = bytearray(getattr(sealed, part).encode())
    text[position % len(text)] ^= 1 << bit

    with pytest.raises(BadSealError):
        keyring.open(sealed.but(**{part: text.decode()}), "production", "receipt")


def test_last_sign_of_a_signature_has_one_form(keyring: Keyring) -> None:
    """Base64 has several texts for one signature; only the one that was written is taken."""
    sealed = keyring.seal("production", "receipt", BODY)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    last = sealed.signature[-3]
    twin = sealed.signature[:-3] + alphabet[alphabet.index(last) + 1] + "=="

    with pytest.raises(BadSealError, match="its text is not the one that was signed"):
        keyring.open(sealed.but(signature=twin), "production", "receipt")


def test_replaced_public_key_holds_at_once(
    keyring: Keyring, trusted: FakeSettings, folder: Path, tmp_path: Path
) -> None:
    """Configuration is read at each seal: a key that was withdrawn opens nothing more.

    As long as it is this worker's own, it may be the configuration that is wrong: nobody has altered anything.
    """
    sealed = keyring.seal("production", "receipt", BODY)
    trusted.keys["production"] = make_key(tmp_path / "new", "production")

    with pytest.raises(NoKeyError, match=r"is not the one that environments/production\.yaml names"):
        keyring.open(sealed, "production", "receipt")
    (folder / "production.pem").write_bytes((tmp_path / "new/production.pem").read_bytes())
    with pytest.raises(BadSealError, match="its key is not the one"):
        keyring.open(sealed, "production", "receipt")
    (folder / "production.pem").unlink()
    with pytest.raises(BadSealError, match="its key is not the one"):
        keyring.open(sealed, "production", "receipt")


def test_worker_without_the_key_cannot_seal(trusted: FakeSettings, tmp_path: Path) -> None:
    """A worker signs for the environments whose keys it has, and is told what it lacks."""
    keyring = Keyring(tmp_path / "laptop", trusted)

    with pytest.raises(
        NoKeyError, match=r"cannot seal for production: .* \(No such file or directory\)\. Put"
    ):
        keyring.check("production")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_key_that_others_may_read_is_not_used(keyring: Keyring, folder: Path, mode: int) -> None:
    """A private key is private, or it proves nothing."""
    (folder / "production.pem").chmod(mode)

    with pytest.raises(NoKeyError, match=r"others may read its key .* chmod 600"):
        keyring.seal("production", "receipt", BODY)


def test_key_that_is_not_the_configured_one_is_not_used(keyring: Keyring, trusted: FakeSettings) -> None:
    """What nobody could check is not signed; the sentence holds the line to write."""
    right, trusted.keys["production"] = trusted.keys["production"], trusted.keys["dev"]

    with pytest.raises(NoKeyError) as refused:
        keyring.seal("production", "receipt", BODY)

    assert f"write there: key: {right}" in str(refused.value)


def _x25519() -> bytes:
    return X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("content", [b"", b"secret", _x25519()], ids=["empty", "text", "another kind"])
def test_file_that_is_no_key_is_said_to_be_none(keyring: Keyring, folder: Path, content: bytes) -> None:
    """A damaged key is named; what is in it is not."""
    (folder / "production.pem").write_bytes(content)

    with pytest.raises(
        NoKeyError, match=r"production\.pem” is not an Ed25519 private key in PEM\. Restore it\."
    ):
        keyring.seal("production", "receipt", BODY)


@pytest.mark.parametrize("key", ["", "ed25519:", "ed25519:AAAA", "rsa:AAAA", "ed25519:*"])
def test_configured_key_that_is_none_is_said_so(keyring: Keyring, trusted: FakeSettings, key: str) -> None:
    """An environment without a good public key neither seals nor checks."""
    sealed = keyring.seal("production", "receipt", BODY)
    trusted.keys["production"] = key

    with pytest.raises(NoKeyError, match=r"environments/production\.yaml has no key"):
        keyring.open(sealed, "production", "receipt")


def test_unknown_environment_is_said_so(keyring: Keyring, trusted: FakeSettings) -> None:
    """An environment that is not configured seals nothing, though its key lies there."""
    del trusted.keys["production"]

    with pytest.raises(NoKeyError, match=r"there is no environments/production\.yaml"):
        keyring.seal("production", "receipt", BODY)


def test_key_is_made_once(folder: Path) -> None:
    """Making a key where there is one returns that one."""
    first = make_key(folder, "production")
    content = (folder / "production.pem").read_bytes()

    assert make_key(folder, "production") == first
    assert (folder / "production.pem").read_bytes() == content
    assert make_key(folder, "dev") != first


def test_key_is_its_owners_alone(folder: Path) -> None:
    """Whatever the mask, nobody else may read a key, nor look into the folder."""
    before = os.umask(0)
    try:
        make_key(folder, "production")
    finally:
        os.umask(before)

    assert (folder / "production.pem").stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in folder.iterdir()] == ["production.pem"]


def test_makers_at_once_agree_on_the_key(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two workers that start together and find no key, the later takes the earlier's."""
    quicker: list[str] = []
    generate = Ed25519PrivateKey.generate

    def slowly() -> Ed25519PrivateKey:
        monkeypatch.setattr(Ed25519PrivateKey, "generate", generate)
        quicker.append(make_key(folder, "production"))
        return generate()

    monkeypatch.setattr(Ed25519PrivateKey, "generate", slowly)

    assert make_key(folder, "production") == quicker[0]
