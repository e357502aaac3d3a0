"""Reaching a Temporal server by TLS, with certificates and with API keys: what works, and what is said where not."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from temporalio.client import Client

from activities.keyring import make_key
from domain.outcome import Exit
from tests.clients.conftest import CommandLine, read_until
from tests.gate import API_KEY, GONE, Gate, gate_before
from tests.town import Engine

pytestmark = [pytest.mark.server, pytest.mark.processes]

STALL = """\
service: stall
components: {site: {kind: content}}
environments: {far: {site: {target: directory, root: live}}}
"""
NEW_PAIR = "TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH"


@pytest.fixture(scope="module")
async def gate(
    client: Client, engine: Engine, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gate]:
    assert engine.is_there
    server = client.service_client.config.target_host
    async with gate_before(server, tmp_path_factory.mktemp("gate")) as opened:
        yield opened


def at_certificate(gate: Gate, **said: str) -> dict[str, str]:
    return {"TEMPORAL_ADDRESS": gate.by_certificate} | said


WAYS: dict[str, Callable[[Gate], dict[str, str]]] = {
    "certificate": lambda gate: at_certificate(gate, **gate.trust, **gate.authority.sign("ana")),
    "API key": lambda gate: {"TEMPORAL_ADDRESS": gate.by_key, "TEMPORAL_API_KEY": API_KEY, **gate.trust},
    "no TLS, though there is a key": lambda gate: {
        "TEMPORAL_ADDRESS": gate.plain,
        "TEMPORAL_API_KEY": API_KEY,
        "TEMPORAL_TLS": "false",
    },
}


@pytest.mark.parametrize("way", WAYS)
async def test_what_the_server_wants_opens_it(offline: CommandLine, gate: Gate, way: str) -> None:
    """With the certificate or the key that it wants, a command reads what the server holds."""
    offline.set(**WAYS[way](gate))

    ran = await offline.type("status")

    assert ran.code == Exit.DONE, ran.said


IN_THE_WAY: dict[str, tuple[Callable[[Gate], dict[str, str]], Exit, str, str]] = {
    "another authority": (
        lambda gate: at_certificate(
            gate,
            TEMPORAL_TLS_SERVER_CA_CERT_PATH=str(gate.stranger.certificate),
            **gate.authority.sign("ana"),
        ),
        Exit.NO_SERVER,
        "is not of the authority that TEMPORAL_TLS_SERVER_CA_CERT_PATH names",
        "Name the right one there",
    ),
    "no authority": (
        lambda gate: at_certificate(gate, **gate.authority.sign("ana")),
        Exit.NO_SERVER,
        "is of an authority that is not known here",
        "Name that authority's certificate in TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    ),
    "no certificate": (
        lambda gate: at_certificate(gate, **gate.trust),
        Exit.NO_SERVER,
        "wants a client certificate, and none is named",
        NEW_PAIR,
    ),
    "no TLS": (
        at_certificate,
        Exit.NO_SERVER,
        "speaks TLS, and nothing says that we should",
        "TEMPORAL_TLS=true",
    ),
    "expired certificate": (
        lambda gate: at_certificate(gate, **gate.trust, **gate.authority.sign("late", GONE)),
        Exit.NO_SERVER,
        "does not accept our client certificate: it has expired on ",
        "Get a new one",
    ),
    "a stranger's certificate": (
        lambda gate: at_certificate(gate, **gate.trust, **gate.stranger.sign("eve")),
        Exit.NO_SERVER,
        "it is not of an authority that the server knows",
        "Get a new one",
    ),
    "a key of another certificate": (
        lambda gate: at_certificate(
            gate,
            **gate.trust,
            **gate.authority.sign("ana")
            | {"TEMPORAL_TLS_CLIENT_KEY_PATH": gate.authority.sign("bo")["TEMPORAL_TLS_CLIENT_KEY_PATH"]},
        ),
        Exit.USAGE,
        "do not belong together",
        NEW_PAIR,
    ),
    "a certificate without a key": (
        lambda gate: at_certificate(
            gate,
            **gate.trust,
            TEMPORAL_TLS_CLIENT_CERT_PATH=gate.authority.sign("ana")["TEMPORAL_TLS_CLIENT_CERT_PATH"],
        ),
        Exit.USAGE,
        "only one of them is named",
        NEW_PAIR,
    ),
    "a server whose certificate has expired": (
        lambda gate: {"TEMPORAL_ADDRESS": gate.expired} | gate.trust,
        Exit.NO_SERVER,
        "has expired",
        "Whoever runs the server has to renew it",
    ),
    "another name": (
        lambda gate: {
            "TEMPORAL_ADDRESS": gate.by_key,
            "TEMPORAL_API_KEY": API_KEY,
            "TEMPORAL_TLS_SERVER_NAME": "temporal.example",
            **gate.trust,
        },
        Exit.NO_SERVER,
        "is for another name",
        "TEMPORAL_TLS_SERVER_NAME",
    ),
    "a wrong key": (
        lambda gate: {"TEMPORAL_ADDRESS": gate.by_key, "TEMPORAL_API_KEY": "a wrong one", **gate.trust},
        Exit.NO_SERVER,
        "does not accept our API key",
        "Set TEMPORAL_API_KEY",
    ),
    "no key": (
        lambda gate: {"TEMPORAL_ADDRESS": gate.by_key, **gate.trust},
        Exit.NO_SERVER,
        "we bring no API key",
        "Set TEMPORAL_API_KEY",
    ),
    "TLS that nobody speaks": (
        lambda gate: {"TEMPORAL_ADDRESS": gate.plain, "TEMPORAL_API_KEY": API_KEY},
        Exit.NO_SERVER,
        "does not speak TLS, which TEMPORAL_API_KEY has switched on",
        "TEMPORAL_TLS=false",
    ),
}


@pytest.mark.parametrize("command", ["status", "doctor"])
@pytest.mark.parametrize("case", IN_THE_WAY)
async def test_what_is_in_the_way_is_named_with_the_remedy(
    offline: CommandLine, gate: Gate, case: str, command: str
) -> None:
    """Whoever cannot get in is told which side is to be mended and by what, and no key is printed."""
    variables, code, trouble, remedy = IN_THE_WAY[case]
    offline.set(**variables(gate))

    ran = await offline.type(command)

    assert ran.code == code, ran.said
    assert trouble in ran.said
    assert remedy in ran.said
    assert API_KEY not in ran.said
    assert "towpath up" not in ran.said


async def test_a_promotion_by_a_profile(offline: CommandLine, gate: Gate, tmp_path: Path) -> None:
    """A worker and a command that a profile leads through TLS have a release deployed."""
    pair = gate.authority.sign("worker")
    profile = tmp_path / "temporal.toml"
    profile.write_text(
        f'[profile.far]\naddress = "{gate.by_certificate}"\n[profile.far.tls]\n'
        f'server_ca_cert_path = "{gate.authority.certificate}"\n'
        f'client_cert_path = "{pair["TEMPORAL_TLS_CLIENT_CERT_PATH"]}"\n'
        f'client_key_path = "{pair["TEMPORAL_TLS_CLIENT_KEY_PATH"]}"\n'
    )
    offline.set(TEMPORAL_CONFIG_FILE=str(profile), TEMPORAL_PROFILE="far")
    key = make_key(tmp_path / ".towpath/keys", "far")
    for file, text in {
        "towpath.yaml": "store: store\n",
        "environments/far.yaml": f"environment: far\nkey: {key}\n",
        "services/stall.yaml": STALL,
        "source/index.html": "1.0.0",
    }.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)

    worker = await offline.start("worker", "--environments", "far")
    try:
        await read_until(worker, "Serving far")
        await offline.type("release", "create", "stall", "1.0.0", "--from", str(tmp_path / "source"))
        ran = await offline.type("promote", "stall", "1.0.0", "far", "--watch")
    finally:
        worker.terminate()
        await worker.communicate()

    assert ran.code == Exit.DONE, ran.said
    assert (tmp_path / "live/current/index.html").read_text() == "1.0.0"
