"""``doctor`` and ``config check``: what is wrong here, and what to do about it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from clients.cli.asking import connected
from clients.cli.grammar import AsJson
from clients.cli.reading import environments_of, known_schemas
from clients.cli.terminal import leave, say, say_json
from clients.trouble import ClientError, UsageError
from domain.hints import temporal
from domain.names import ENGINE_QUEUE, effects_queue
from domain.outcome import Exit
from domain.value import Value
from domain.workflow_types import CHANGES, WEDGED
from workers.settings import Surroundings, surroundings

if TYPE_CHECKING:
    from temporalio.client import Client

    from domain.configuration import Configuration

config = typer.Typer(no_args_is_help=True, help="Begin a configuration folder, check it, and see what holds.")

Coverage = Annotated[
    bool,
    typer.Option(
        "--coverage",
        help="Look instead whether every environment has health, alarms, a way back, workers and a proven rollback.",
    ),
]
GOOD: Final = "good"
DOUBTFUL: Final = "doubtful"
BAD: Final = "bad"
_MARKS: Final = {GOOD: ("✓", "green"), DOUBTFUL: ("–", "yellow"), BAD: ("✗", "bold red")}
_NAMED: Final = 5
_WORST_FIRST: Final = (
    Exit.UNSETTLED,
    Exit.NO_SERVER,
    Exit.USAGE,
    Exit.NOBODY_POLLS,
    Exit.BUG,
)


class Finding(Value):
    """One thing that was looked at."""

    about: str
    verdict: Literal["good", "doubtful", "bad"]
    sentence: str
    exit: Exit = Exit.DONE


class Findings(Value):
    """What ``doctor --json`` prints."""

    schema_version: Literal[1] = 1
    findings: tuple[Finding, ...]
    exit: Exit


@config.command()
def check(as_json: AsJson = False) -> None:
    """Say everything that is wrong in the configuration folder, with file, line, key and remedy."""
    place = surroundings()
    findings = tuple(_configuration(place))
    _report(findings, as_json=as_json)


def doctor(as_json: AsJson = False, coverage: Coverage = False) -> None:
    """Look at everything that Towpath needs, and say what is wrong and what to do.

    The exit code says the worst.
    """
    if coverage:
        from clients.cli.covering import cover

        cover(as_json=as_json)
    _report(asyncio.run(_examine(surroundings())), as_json=as_json)


def _report(findings: tuple[Finding, ...], *, as_json: bool) -> None:
    code = next((exit_ for exit_ in _WORST_FIRST if any(one.exit is exit_ for one in findings)), Exit.DONE)
    if as_json:
        say_json(Findings(findings=findings, exit=code))
    else:
        for one in findings:
            mark, style = _MARKS[one.verdict]
            say(f"{mark} {one.about}: {one.sentence}", "" if one.verdict == GOOD else style)
    leave(code)


async def _examine(place: Surroundings) -> tuple[Finding, ...]:
    here = list(_configuration(place))
    here += _notifications(place)
    environments = environments_of(place)
    here += [finding async for finding in _machine(place, environments)]
    return (*here, *[finding async for finding in _server(place, environments)])


def _good(about: str, sentence: str) -> Finding:
    return Finding(about=about, verdict="good", sentence=sentence)


def _doubtful(about: str, sentence: str, code: Exit = Exit.DONE) -> Finding:
    return Finding(about=about, verdict="doubtful", sentence=sentence, exit=code)


def _bad(about: str, sentence: str, code: Exit) -> Finding:
    return Finding(about=about, verdict="bad", sentence=sentence, exit=code)


def _configuration(place: Surroundings) -> list[Finding]:
    from workers.wiring import settings_of

    found = settings_of(place).inspect()
    findings = [_bad("configuration", str(mistake), Exit.USAGE) for mistake in found.mistakes]
    findings += [_doubtful("configuration", str(warning)) for warning in found.warnings]
    findings += _schemas(place)
    if found.configuration:
        many = found.configuration
        named = _many(len(many.services), "service"), _many(len(many.environments), "environment")
        sentence = f"{' and '.join(named)} in {place.folder}"
        findings.append(_good("configuration", sentence))
        findings += _lost_keys(place, many)
    return findings


def _lost_keys(place: Surroundings, configuration: "Configuration") -> list[Finding]:
    from activities.clock import SystemClock
    from activities.lost_keys import find_lost_keys

    lost = find_lost_keys(place.folder, configuration, SystemClock())
    return [_doubtful("configuration", str(warning)) for warning in lost]


def _schemas(place: Surroundings) -> list[Finding]:
    """Whether editors judge by what this Towpath takes."""
    from activities.scaffolding import schema_drafts, stale

    names = [draft.file for draft in stale(place.folder, schema_drafts(known_schemas()))]
    sentence = (
        "of another Towpath than this one, so editors judge wrongly. Have them made anew: towpath config init"
    )
    return [_doubtful("schemas", f"{', '.join(names)}: {sentence}")] if names else []


def _notifications(place: Surroundings) -> list[Finding]:
    """Whether those who are asked to approve hear of it."""
    from workers.wiring import settings_of

    found = settings_of(place).inspect().configuration
    if found is None:
        return []
    services: dict[str, list[str]] = {}
    for subject in found.unheard():
        services.setdefault(subject.environment, []).append(subject.service)
    findings = [
        _doubtful(
            "notifications",
            f"{environment} wants approvals, and no route under notify in towpath.yaml tells anybody of “approval "
            f"wanted” there: of {', '.join(sorted(names)[:_NAMED])}{' and others' if len(names) > _NAMED else ''}. "
            "See docs/how-to/notifications.md",
        )
        for environment, names in sorted(services.items())
    ]
    if not findings and found.organisation.notify:
        findings.append(_good("notifications", "wherever approvals are wanted, somebody is told"))
    return findings


async def _machine(place: Surroundings, environments: list[str]) -> AsyncIterator[Finding]:
    """The keys that are here, and the store."""
    from activities.keyring import Keyring
    from activities.ports import AlreadyExistsError, SealError, StoreError
    from workers.readiness import PROBE
    from workers.wiring import settings_of, store_of

    settings = settings_of(place)
    keyring = Keyring(place.keys, settings)
    for name in environments:
        try:
            keyring.check(name)
            yield _good("keys", f"this machine can seal for {name}")
        except SealError as error:
            has_key = (place.keys / f"{name}.pem").exists()
            if has_key:
                yield _bad("keys", str(error), Exit.USAGE)
            elif not settings.current().environments[name].key:
                yield _doubtful("keys", f"{name} has none yet; `towpath up` makes it")
            else:
                yield _doubtful("keys", str(error))
    if not environments:
        return
    try:
        await store_of(place).create(PROBE, b"")
    except AlreadyExistsError:
        pass
    except StoreError as error:
        yield _bad("store", str(error), Exit.USAGE)
        return
    yield _good("store", "it can be written to")
    yield await _reviews(place)


async def _reviews(place: Surroundings) -> Finding:
    """Whether somebody broke the glass, and nobody has looked at it."""
    from clients.cli.reading import find_reviews

    try:
        unread = [one for one in await find_reviews(place) if one.is_open]
    except UsageError as error:
        return _bad("reviews", str(error), Exit.USAGE)
    if not unread:
        return _good("reviews", "none is open")
    named = "; ".join(f"{one.broken.subject}, turn {one.broken.turn}: {one}" for one in unread[:_NAMED])
    return _doubtful("reviews", f"{len(unread)} to be done ({named}). See: towpath review list")


async def _server(place: Surroundings, environments: list[str]) -> AsyncIterator[Finding]:
    from clients.connection import find_way

    try:
        spaces = (await connected(place)).spaces
        ways = {id(spaces.home): find_way(place.state)[1]}
    except ClientError as error:
        yield _bad("server", str(error), error.exit)
        return
    for name, why in spaces.kept_from():
        code = why.exit if isinstance(why, ClientError) else Exit.NO_SERVER
        yield _bad("server", f"where {name} lives: {why}", code)
    for client in spaces.everywhere():
        way = ways.get(id(client))
        host = client.service_client.config.target_host
        answers = f"it answers on {host}{f' ({way.source})' if way else ''}"
        yield (
            _doubtful("server", answers, Exit.NOBODY_POLLS)
            if way and way.is_left
            else _good("server", answers)
        )
        # Walks are led at home, whoever lives there.
        async for finding in _namespace(client, spaces.living_in(client, environments)):
            yield finding


async def _namespace(client: "Client", environments: list[str]) -> AsyncIterator[Finding]:
    """What there has to be in a namespace, for those that live in it."""
    from temporalio.service import RPCError

    from activities.queues import why_closed
    from clients.connection import explain, missing_attributes, say_missing

    try:
        if closed := await why_closed(client):
            yield _bad("namespace", closed, Exit.NO_SERVER)
        else:
            yield _good("namespace", f"“{client.namespace}” is there")
        missing = await missing_attributes(client)
        if missing:
            yield _bad("search attributes", say_missing(missing, client.namespace), Exit.NO_SERVER)
            return
        yield _good("search attributes", "all are registered")
        async for finding in _work(client, environments):
            yield finding
    except RPCError as error:
        explained = await explain(client, error)
        yield _bad("namespace", str(explained), explained.exit)


async def _work(client: "Client", environments: list[str]) -> AsyncIterator[Finding]:
    """Whether anybody does the work, and what of it needs a person."""
    from clients.speaking import need_engine, need_environment

    yield await _served(client, "the engine", ENGINE_QUEUE, need_engine(client))
    for name in environments:
        yield await _served(client, name, effects_queue(name), need_environment(client, name))
    for about, query, code, say_what in _NEEDY:
        found = [row.id async for row in client.list_workflows(query, limit=20)]
        for workflow_id in found:
            yield _bad(about, say_what(workflow_id, client.namespace), code)
        if not found:
            yield _good(about, "none")
    async for finding in _standstill(client):
        yield finding


async def _served(client: "Client", who: str, queue: str, need: Awaitable[None]) -> Finding:
    from activities.queues import held_up

    try:
        await need
    except ClientError as error:
        return _bad("workers", str(error), Exit.NOBODY_POLLS)
    if why := await held_up(client, queue):
        sentence = f"{who} has workers, and none of the work on its queue: {why}"
        return _bad("workers", sentence, Exit.NOBODY_POLLS)
    return _good("workers", f"{who} is served")


async def _standstill(client: "Client") -> AsyncIterator[Finding]:
    """What somebody paused, pinned or led elsewhere: nothing of it fails, and nothing of it goes on."""
    from activities.clock import SystemClock
    from workers.standstill import PAUSED, described, find_pinned, find_rows, find_still

    rows = {row.run_id: row for query in (CHANGES, PAUSED) for row in await find_rows(client, query)}
    found = await find_pinned(client)
    async for row, seen in described(client, list(rows.values())):
        found += find_still(row, seen, SystemClock().now())
    for still in found:
        sentence = f"{still.workflow_id}: {still.why}. See docs/how-to/recover.md (a change stands still)"
        yield _bad("at a standstill", sentence, Exit.NOBODY_POLLS)
    if not found:
        yield _good("at a standstill", "none")


def _say_wedged(workflow_id: str, namespace: str) -> str:
    return (
        f"{workflow_id} fails at every attempt to go on, most likely since its worker runs another version "
        f"of Towpath than the one it began with. See why: {temporal('describe', workflow_id, namespace)}"
    )


def _say_unsettled(workflow_id: str, _: str) -> str:
    return (
        f"{workflow_id} is unsettled: nothing else moves there. See what it needs: towpath status "
        f"{workflow_id}"
    )


def _say_unserved(workflow_id: str, _: str) -> str:
    return f"{workflow_id} waits for a worker of its environment. See which: towpath status {workflow_id}"


_OURS: Final = "TowpathStory IS NOT NULL"
_RUNNING: Final = f"{_OURS} AND ExecutionStatus='Running'"
_NEEDY: Final[tuple[tuple[str, str, Exit, Callable[[str, str], str]], ...]] = (
    ("wedged workflows", WEDGED, Exit.BUG, _say_wedged),
    (
        "unsettled lanes",
        f"{_RUNNING} AND TowpathStory='lane' AND TowpathPhase='unsettled'",
        Exit.UNSETTLED,
        _say_unsettled,
    ),
    ("unserved promotions", f"{_RUNNING} AND TowpathPhase='no worker'", Exit.NOBODY_POLLS, _say_unserved),
)


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
