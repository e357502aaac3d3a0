"""The way to a namespace: whose connection, whose address, and what is said where there is none."""

from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from clients.client import Towpath
from clients.connection import explain, find_way
from clients.spaces import join_spaces, wanted_by
from clients.trouble import UsageError
from domain.outcome import Exit
from domain.space import Space
from tests.clients.conftest import CommandLine

PROFILES = """\
[profile.vault]
address = "vault.example:7233"
api_key = "k"
[profile.office]
address = "office.example:7233"
"""


@pytest.fixture
def profiles(offline: CommandLine) -> CommandLine:
    """Temporal's client configuration with two profiles, and variables that lead elsewhere."""
    file = offline.folder / "temporal.toml"
    file.write_text(PROFILES)
    offline.set(TEMPORAL_CONFIG_FILE=str(file), TEMPORAL_ADDRESS="127.0.0.1:1", TEMPORAL_NAMESPACE="towpath")
    return offline


def test_a_profile_that_is_named_stands_for_itself(profiles: CommandLine) -> None:
    """The variables are those of all else: they neither lead elsewhere nor lend a key."""
    chosen, way = find_way(profiles.folder, "vault")

    assert chosen.get("target_host") == way.address == "vault.example:7233"
    assert (chosen.get("api_key"), way.source) == ("k", "named by the profile “vault”")
    assert find_way(profiles.folder)[1].address == "127.0.0.1:1"
    assert "api_key" not in find_way(profiles.folder, "office")[0]


def test_a_profile_that_is_not_there_is_said_with_those_that_are(profiles: CommandLine) -> None:
    """Whoever has no way into production is told so, and may still work elsewhere."""
    with pytest.raises(UsageError, match=r"“cellar” leads to where it lives, .* only office, vault"):
        find_way(profiles.folder, "cellar")


@pytest.mark.usefixtures("towpath")
async def test_one_namespace_that_is_not_reached_keeps_nobody_from_the_others(tmp_path: Path) -> None:
    """A person with a way into staging alone asks and lists there, and hears about production when they ask for it."""
    lives = {
        "production": Space(namespace="vault", profile="cellar"),
        "staging": Space(namespace="default"),
    }
    home = (await Towpath.connect(tmp_path)).client
    spaces = await join_spaces(home, lives, tmp_path)

    assert spaces.of("staging") is spaces.of("dev") is home
    assert [name for name, _ in spaces.kept_from()] == ["production"]
    with pytest.raises(UsageError, match="“cellar”"):
        Towpath(spaces).promotion("shop", "1.0.0", "production")


async def test_lists_say_which_namespace_they_could_not_look_into(towpath: CommandLine) -> None:
    """The rest is shown; of the one that is not there, the sentence with its remedy."""
    folder = towpath.folder / "environments"
    folder.mkdir()
    (towpath.folder / "towpath.yaml").write_text("store: store\n")
    (folder / "production.yaml").write_text("environment: production\ntemporal: {namespace: nowhere}\n")

    listed = await towpath.type("status")
    asked = await towpath.type("status", "shop", "1.0.0", "production")
    examined = await towpath.type("doctor")

    assert listed.code == 0
    for ran in (listed, asked, examined):
        assert "temporal operator namespace create -n nowhere" in ran.said
    assert "“default” is there" in examined.said


VAULT, OFFICE = Space(namespace="vault"), Space(namespace="office", profile="office")


@pytest.mark.parametrize(
    ("environments", "only", "expected"),
    [
        (["staging"], None, ({"staging": OFFICE}, False)),
        (["dev", "production"], None, ({"dev": None, "production": VAULT}, False)),
        ([], [], ({"staging": OFFICE, "production": VAULT}, True)),
        ([], ["towpath"], ({"staging": OFFICE, "production": VAULT}, True)),
        (["production"], ["vault"], ({"production": VAULT}, False)),
    ],
    ids=["a worker", "two workers", "the engine", "the engine at home", "one for production alone"],
)
def test_a_process_reaches_what_it_serves_and_nothing_else(
    environments: list[str], only: list[str] | None, expected: tuple[dict[str, Space | None], bool]
) -> None:
    """A worker of staging needs no way into production; the engine at home leads walks everywhere."""
    known = {"staging": OFFICE, "production": VAULT}

    assert wanted_by(known, "towpath", environments, only) == expected


def test_an_engine_for_a_namespace_that_nobody_lives_in_is_a_slip() -> None:
    """It would serve nothing, and look as if it did."""
    with pytest.raises(UsageError, match="No environment lives in the namespace “valut”"):
        wanted_by({"production": VAULT}, "towpath", [], ["valut"])


@pytest.mark.parametrize("status", [RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED])
async def test_a_refusal_of_the_server_names_the_namespace(status: RPCStatusCode) -> None:
    """Of several, one was closed to us: which, and who can open it."""
    client = await Client.connect("127.0.0.1:1", namespace="vault", lazy=True)

    why = await explain(client, RPCError("Request unauthorized.", status, b""))

    assert "does not let us into the namespace “vault”: Request unauthorized. What we show it" in str(why)
    assert why.exit is Exit.NO_SERVER
