"""Reaching the Temporal server, by Temporal's own client configuration and nothing of ours.

The address is that of the profile or of ``TEMPORAL_ADDRESS``; where neither names one, that of the embedded
server which ``towpath up`` runs in this folder; where there is none, Temporal's default.
"""

import os
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import ValidationError
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.service import RPCError, RPCStatusCode

from activities.calls import is_away, is_unreadable
from clients.handshake import Asked, explain_connection
from clients.trouble import AwayError, ClientError, FailedError, NoServerError, UsageError
from domain.names import SEARCH_ATTRIBUTES
from domain.space import Space
from domain.value import Value
from workflows.reaching import reach

DEFAULT_ADDRESS: Final = "127.0.0.1:7233"
HERE: Final = Path(".towpath")
"""Where ``towpath up`` keeps what it keeps, beside the configuration."""


DATABASE: Final = "temporal.db"
"""In the state folder: what the server of ``towpath up`` remembers."""
_GUESSED: Final = "Temporal's default, since nothing names another"


class EmbeddedServer(Value):
    """What ``towpath up`` writes down of the server it runs: ``server.json`` in its state folder."""

    address: str
    ui: str
    process: int | None = None
    """The server's own, as newer ones write: where ``up`` alone is killed, it lives on."""
    pid: int
    """That of ``up``."""

    @property
    def is_up(self) -> bool:
        """Tell whether the server still lives, or whoever began it, which then says that it has died."""
        return any(_lives(one) for one in (self.pid, self.process) if one)

    @property
    def source(self) -> str:
        """Say whose server it is."""
        whose = f"`towpath up`, process {self.pid}"
        return (
            f"of {whose}"
            if _lives(self.pid)
            else f"left by {whose}, which has died: start it again with `towpath up`"
        )


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Way(NamedTuple):
    """An address, and where it was found."""

    address: str
    source: str
    is_left: bool = False
    """Whoever began that server has died, and with it the workers that it ran."""

    @property
    def is_guessed(self) -> bool:
        """Tell whether nothing has named it."""
        return self.source == _GUESSED


def server_file(state: Path) -> Path:
    return state / "server.json"


def embedded_server(state: Path = HERE) -> EmbeddedServer | None:
    """Return the embedded server that runs for this state folder, if one does."""
    try:
        found = EmbeddedServer.model_validate_json(server_file(state).read_bytes())
    except (OSError, ValidationError):
        return None
    return found if found.is_up else None


async def connect(state: Path = HERE, *, identity: str | None = None, space: Space | None = None) -> Client:
    """Connect as the surroundings say, or the profile of a ``space``, and to its namespace.

    Raises ``NoServerError`` and ``UsageError``, with sentences.
    """
    chosen, way = find_way(state, space.profile if space else "")
    _refuse_to_guess(state, way)
    if space:
        chosen["namespace"] = space.namespace
    try:
        return await reach(**chosen, identity=identity)
    except RuntimeError as error:
        known = await explain_connection(Asked(way.address, way.source, chosen), str(error))
        raise known or NoServerError(_say_down(way, str(error))) from error
    except ValueError as error:
        known = await explain_connection(Asked(way.address, way.source, chosen), str(error))
        raise known or UsageError(
            f"“{way.address}” ({way.source}) is no address: write host:port."
        ) from error
    except RPCError as error:
        raise NoServerError(_say_down(way, error.message)) from error


def find_way(state: Path = HERE, profile: str = "") -> tuple[ClientConnectConfig, Way]:
    """Return what the client is to be connected with, and the way it takes. Raises ``UsageError``.

    A ``profile`` that is named stands for itself: the variables of this process say nothing of it.
    """
    try:
        chosen = _chosen(profile)
    except OSError as error:
        raise UsageError(
            f"Temporal's client configuration names the file “{error.filename}”, which cannot be read "
            f"({error.strerror}). Put it there, or correct the profile or the TEMPORAL_TLS_… variable."
        ) from error
    except RuntimeError as error:
        raise UsageError(
            f"Temporal's client configuration cannot be used: {str(error).strip()}. "
            "See `temporal config list`, TEMPORAL_PROFILE and TEMPORAL_CONFIG_FILE."
        ) from error
    if "target_host" in chosen and profile:
        return chosen, Way(chosen["target_host"], f"named by the profile “{profile}”")
    if "target_host" in chosen:
        return chosen, Way(chosen["target_host"], "named by the profile or TEMPORAL_ADDRESS")
    found = embedded_server(state)
    way = Way(found.address, found.source, not _lives(found.pid)) if found else _default()
    return {**chosen, "target_host": way.address}, way


def _chosen(profile: str) -> ClientConnectConfig:
    if not profile:
        return ClientConfig.load_client_connect_config()
    known = ClientConfig.load().profiles
    if profile not in known:
        there = f"only {', '.join(sorted(known))}" if known else "none"
        raise UsageError(
            f"An environment’s file says that the profile “{profile}” leads to where it lives, and Temporal’s client "
            f"configuration here has {there}. "
            "Write it there (`temporal config list` shows the file), or name the file in TEMPORAL_CONFIG_FILE."
        )
    return known[profile].to_client_connect_config()


def embedded_address(state: Path = HERE) -> str:
    """Return the embedded server's address where nothing else names one, else nothing."""
    named = "target_host" in ClientConfig.load_client_connect_config()
    found = None if named else embedded_server(state)
    return found.address if found else ""


def _default() -> Way:
    return Way(DEFAULT_ADDRESS, _GUESSED)


def _refuse_to_guess(state: Path, way: Way) -> None:
    """Where `towpath up` has served this folder, whoever answers at Temporal's default address is somebody else's."""
    if way.is_guessed and (state / DATABASE).exists():
        raise NoServerError(
            "The server of this folder does not run. Start it: towpath up. "
            f"If another one is meant, name it: TEMPORAL_ADDRESS={DEFAULT_ADDRESS}"
        )


def _say_down(way: Way, why: str) -> str:
    return (
        f"No Temporal server answers on {way.address} ({way.source}): {_short_reason(why)}. "
        "Start one here with `towpath up`, or name yours in TEMPORAL_ADDRESS or in a profile of "
        "`temporal config`."
    )


def _short_reason(why: str) -> str:
    """Say the reason without the Rust around it."""
    known = {
        "Connection refused": "the connection was refused",
        "dns error": "the host name is not known",
        "timed out": "nothing came back in time",
    }
    return next((words for mark, words in known.items() if mark in why), why.splitlines()[0][:200])


def _why_away(error: RPCError) -> str:
    if is_unreadable(error):
        return (
            "answered with what cannot be read: somebody has put into a history what no worker reads either. The "
            "engine ends such a workflow within two minutes, and its lane goes on; ask again then: towpath doctor"
        )
    return (
        f"stopped answering ({error.message[:200]}). What was under way is kept by it; see that it runs, then ask "
        "again: towpath doctor"
    )


async def explain(client: Client, error: RPCError) -> ClientError:
    """Say in words why the server refused a call."""
    address, said = client.service_client.config.target_host, error.message
    if error.status is RPCStatusCode.NOT_FOUND and said.startswith("Namespace"):
        return NoServerError(
            f"The Temporal server on {address} has no namespace “{client.namespace}”. Name another where "
            "this one is named (TEMPORAL_NAMESPACE, a profile, or temporal: in the environment’s file), or create "
            f"it: temporal operator namespace create -n {client.namespace}"
        )
    if error.status is RPCStatusCode.INVALID_ARGUMENT and "search attribute" in said:
        return NoServerError(say_missing(await missing_attributes(client), client.namespace))
    if is_away(error) or is_unreadable(error):
        return AwayError(f"The Temporal server on {address} {_why_away(error)}")
    if error.status in {RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED}:
        return NoServerError(
            f"The Temporal server on {address} does not let us into the namespace “{client.namespace}”: "
            f"{said[:200].rstrip('.')}. What we show it (TEMPORAL_API_KEY, TEMPORAL_TLS_…, or the profile) is for "
            "another namespace, or may do less; whoever runs the server says what it may."
        )
    if error.status in {RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.NOT_FOUND}:
        return UsageError(f"The Temporal server on {address} did not take it: {said[:300]}.")
    return FailedError(f"The Temporal server on {address} did not do it ({error.status.name}): {said[:300]}.")


async def missing_attributes(client: Client) -> tuple[str, ...]:
    """Return those of our search attributes that the namespace does not know; all where it will not say."""
    try:
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
    except RPCError:
        return SEARCH_ATTRIBUTES
    return tuple(name for name in SEARCH_ATTRIBUTES if name not in known.custom_attributes)


def say_missing(names: tuple[str, ...], namespace: str) -> str:
    """Say which search attributes are missing, and the command that registers them."""
    flags = " ".join(f"--name {name} --type Keyword" for name in names)
    return (
        f"The namespace “{namespace}” lacks the search attributes {', '.join(names)}. Register them once: "
        f"temporal operator search-attribute create -n {namespace} {flags}"
    )
