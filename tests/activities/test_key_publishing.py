from pathlib import Path

import pytest

from activities.checks import CHECKS
from activities.configuration_folder import read_folder
from activities.key_publishing import KeyNotPublishedError, publish_key
from activities.keyring import make_key
from activities.targets import TARGETS

OLD = "ed25519:" + "A" * 43 + "="


@pytest.fixture
def key(tmp_path: Path) -> str:
    return make_key(tmp_path / "keys", "production")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    (folder / "environments").mkdir(parents=True)
    (folder / "towpath.yaml").write_text("store: store\n")
    return folder


def file_of(folder: Path) -> Path:
    return folder / "environments/production.yaml"


PAGES = {
    "first time": (
        "# ours\nenvironment: production  # mind\n\nsoak: 10m   # long\napproval:\n- x\n",
        "# ours\nenvironment: production  # mind\nkey: {key}\n\nsoak: 10m   # long\napproval:\n- x\n",
    ),
    "another key": (
        f"environment: production\nsoak: 1m\nkey: {OLD}  # from up\n",
        "environment: production\nsoak: 1m\nkey: {key}  # from up\n",
    ),
    "quoted key": (f"key: '{OLD}'\nenvironment: production\n", "key: {key}\nenvironment: production\n"),
    "empty key": ("key:\nenvironment: production\n", "key: {key}\nenvironment: production\n"),
    "no last line end": ("environment: production", "environment: production\nkey: {key}\n"),
    "other line ends": (
        "environment: production\r\nsoak: 1m\r\n",
        "environment: production\r\nkey: {key}\r\nsoak: 1m\r\n",
    ),
}


@pytest.mark.parametrize(("before", "after"), PAGES.values(), ids=PAGES.keys())
def test_only_the_key_is_written(folder: Path, key: str, before: str, after: str) -> None:
    """Every other byte of the file stays: comments, order, spaces."""
    file_of(folder).write_bytes(before.encode())

    assert publish_key(folder, "production", key)

    assert file_of(folder).read_bytes().decode() == after.format(key=key)
    assert [path.name for path in file_of(folder).parent.iterdir()] == ["production.yaml"]


def test_a_published_key_is_read_back(folder: Path, key: str) -> None:
    """The folder reads without a mistake, and names the key."""
    file_of(folder).write_text("environment: production\n")

    publish_key(folder, "production", key)

    assert read_folder(folder, TARGETS, CHECKS).environments["production"].key == key


def test_a_key_that_stands_there_is_left_alone(folder: Path, key: str) -> None:
    """The second time nothing is written, so a file that must not be written is fine."""
    file_of(folder).write_text(f"environment: production\nkey: {key}\n")
    file_of(folder).chmod(0o400)
    before = file_of(folder).stat()

    assert not publish_key(folder, "production", key)

    assert file_of(folder).stat() == before


def test_a_link_stays_a_link(folder: Path, key: str, tmp_path: Path) -> None:
    """What it leads to is written, with the same rights."""
    real = tmp_path / "real.yaml"
    real.write_text("environment: production\n")
    real.chmod(0o666)
    file_of(folder).symlink_to(real)

    assert publish_key(folder, "production", key)

    assert file_of(folder).is_symlink()
    assert f"key: {key}" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o666


UNWRITABLE = {
    "flow": ("{environment: production}\n", "it is not written a key a line"),
    "indented": ("  environment: production\n", "it is not written a key a line"),
    "broken": ("environment: [\n", "a quote or bracket is opened here and never closed"),
    "many lines": ("soak: 'x\nenvironment: y\n'\nenvironment : z\n", "it is not written a key a line"),
}


@pytest.mark.parametrize(("text", "why"), UNWRITABLE.values(), ids=UNWRITABLE.keys())
def test_a_file_that_is_written_otherwise_is_left_to_people(
    folder: Path, key: str, text: str, why: str
) -> None:
    """Rather than guess, it says what to write, and writes nothing."""
    file_of(folder).write_text(text)

    with pytest.raises(KeyNotPublishedError) as no:
        publish_key(folder, "production", key)

    assert str(no.value) == (
        f"The public key of production could not be written to “{file_of(folder)}”: {why}. "
        f"Write there: key: {key}"
    )
    assert file_of(folder).read_text() == text


def test_a_file_that_is_read_only_is_left_to_people(folder: Path, key: str) -> None:
    """Whoever marked it so meant it, even for root."""
    file_of(folder).write_text("environment: production\n")
    file_of(folder).chmod(0o444)

    with pytest.raises(KeyNotPublishedError, match="it is marked as read-only"):
        publish_key(folder, "production", key)

    assert file_of(folder).read_text() == "environment: production\n"


def test_an_environment_without_a_file_is_said_so(folder: Path, key: str) -> None:
    """The system's word, and the line to write."""
    with pytest.raises(KeyNotPublishedError, match=r"No such file or directory\. Write there: key: ed25519:"):
        publish_key(folder, "production", key)
