"""``environments list``, ``environments show``, ``services``."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from clients.cli.grammar import Again, AsJson, EnvironmentName
from clients.cli.reading import find_configuration, find_reviews, maybe_archive
from clients.cli.repeating import ask_and_show
from clients.cli.terminal import say, say_aside, say_commands, say_table
from clients.trouble import UsageError
from domain.actor import CLAIMED
from domain.environment import Placement
from domain.inventory import (
    EnvironmentList,
    EnvironmentSummary,
    EnvironmentView,
    Place,
    ServiceList,
    Stand,
    with_lanes,
    with_reviews,
)
from domain.names import Subject
from domain.outcome import Exit, Phase
from domain.spelling import end_with_suggestion
from domain.value import say_duration
from workers.settings import Surroundings, surroundings

if TYPE_CHECKING:
    from clients.client import Towpath
    from domain.configuration import Configuration
    from domain.review import Review

environments = typer.Typer(no_args_is_help=True, help="See what stands in the environments.")
OneService = Annotated[str, typer.Argument(metavar="[SERVICE]", show_default=False)]


@environments.command("list")
def list_(as_json: AsJson = False, watch: Again = False) -> None:
    """List the environments: lanes, freezes and workers."""
    known = find_configuration(surroundings())
    configured = {name: file.schedule for name, file in known.environments.items()} if known else {}

    async def look(towpath: "Towpath") -> EnvironmentList:
        from clients.inventory import list_environments

        found = await list_environments(towpath.spaces, configured)
        return with_reviews(found, await _reviews(surroundings()))

    ask_and_show(look, _show_list, as_json=as_json, watch=watch)


async def _reviews(place: Surroundings, environment: str = "") -> "list[Review]":
    """Reviews that cannot be read are said, and keep nobody from seeing what stands there."""
    try:
        return await find_reviews(place, environment)
    except UsageError as error:
        say_aside(f"Reviews are not shown. {error}")
        return []


def _show_list(found: EnvironmentList) -> None:
    if found.environments:
        table = [("ENVIRONMENT", "LANES", "BUSY", "UNSETTLED", "WORKERS", "FREEZE")]
        say_table(table + [_summary(one) for one in found.environments])
    else:
        say("There is no environment yet. In a folder with a configuration, start everything with:")
        say_commands(["towpath up"])


def _summary(one: EnvironmentSummary) -> tuple[str, ...]:
    freeze = "unknown: no engine worker" if one.trouble else str(one.freeze or one.planned or "open")
    pinned = f"; pinned: {', '.join(one.pinned)}" if one.pinned else ""
    open_ = f"; {one.reviews} to review: towpath review list" if one.reviews else ""
    counts = map(str, (one.lanes, one.busy, one.unsettled, one.workers))
    return (one.environment, *counts, freeze + pinned + open_)


@environments.command("show")
def show_environment(name: EnvironmentName, as_json: AsJson = False, watch: Again = False) -> None:
    """Show one environment: what it holds and since when, who let that in, its health, and who waits."""
    place = surroundings()
    known = find_configuration(place)
    services = [one for one, file in known.services.items() if name in file.environments] if known else []

    async def look(towpath: "Towpath") -> EnvironmentView:
        from clients.inventory import view_environment

        environment = towpath.environment(name).name
        found = await view_environment(
            towpath.spaces, environment, services, archive[1] if (archive := maybe_archive(place)) else None
        )
        if known:
            found = found.but(places=with_lanes(found.places, known))
        if not (found.places or found.freeze or (known and name in known.environments)):
            meant = (
                f": {end_with_suggestion(name, known.environments)}" if known and known.environments else "."
            )
            raise UsageError(
                f"There is no environment “{name}”{meant} What there is: towpath environments list"
            )
        unread = tuple(one for one in await _reviews(place, name) if one.is_open)
        return _with_plans(found.but(reviews=unread), known)

    def judge(found: EnvironmentView) -> Exit:
        return Exit.UNSETTLED if any(one.unsettled for one in found.places) else Exit.DONE

    ask_and_show(look, _show, as_json=as_json, watch=watch, judge=judge)


def services(service: OneService = "", as_json: AsJson = False, watch: Again = False) -> None:
    """List services, their environments, and what each of them holds."""
    known = find_configuration(surroundings())
    road = [
        Subject(service=name, environment=environment)
        for name, file in (known.services.items() if known else ())
        for environment in file.environments
    ]

    async def look(towpath: "Towpath") -> ServiceList:
        from clients.inventory import list_services
        from clients.speaking import name_of

        found = await list_services(towpath.spaces, road, name_of("service", service) if service else "")
        if known:
            found = found.but(places=with_lanes(found.places, known))
        if service and not found.places:
            raise UsageError(f"There is no service “{service}”. What there is: towpath services")
        return found

    ask_and_show(look, _show_services, as_json=as_json, watch=watch)


def _show_services(found: ServiceList) -> None:
    if found.places:
        table = [("SERVICE", "ENVIRONMENT", "HOLDS", "SINCE", "LANE")]
        say_table(table + [row for one in found.places for row in _rows(one)])
    else:
        say("There is no service yet: services/NAME.yaml says what one is made of. See what is missing:")
        say_commands(["towpath config check"])


def _rows(place: Place) -> Iterator[tuple[str, ...]]:
    lane = "no answer" if place.trouble else str(place.phase or "never used")
    if not place.stands:
        yield (place.service, place.environment, "nothing yet" if not place.trouble else "unknown", "", lane)
    for one in place.stands:
        holds = f"{one.component} {_version(one)}"
        if _is_unsettled(place):  # what stands there now, nobody knows before it is settled
            holds = f"{one.component} unknown ({_version(one)} before)"
        yield (place.service, place.environment, holds, _since(one), lane)


def _show(found: EnvironmentView) -> None:
    for sentence in found.unread:
        say_aside(f"Not shown: {sentence}")
    stands = found.trouble or f"{found.environment} is {found.freeze or found.planned or 'open'}."
    say(stands, "yellow" if found.trouble or found.freeze else "bold")
    if found.freeze and found.planned:
        say(f"  and {found.planned}")
    if found.workers:
        say(f"  {found.workers} {'worker serves' if found.workers == 1 else 'workers serve'} it")
    else:
        say("  no worker serves it, so nothing can be changed here. Start one where its key is:", "yellow")
        say_commands([f"towpath worker --environments {found.environment}"])
    for one in found.reviews:
        say(
            f"  {one.broken.version} of {one.broken.subject.service}: {one}. See: towpath review list",
            "yellow",
        )
    for place in found.places:
        _show_place(place)
    if not found.places:
        say("  No service goes there yet.")


def _with_plans(found: EnvironmentView, known: "Configuration | None") -> EnvironmentView:
    """Add where windows and planned freezes stand now, by this folder's configuration."""
    from activities.clock import SystemClock

    file = known.environments.get(found.environment) if known else None
    if known is None or file is None:
        return found
    now = SystemClock().now()

    def planned(place: Place) -> str:
        own = known.place(place.subject)
        return known.schedule(place.subject).say(now) if own and (own.windows or own.freezes) else ""

    places = tuple(place.but(planned=planned(place)) for place in found.places)
    return found.but(planned=file.schedule.say(now), places=places)


def _is_unsettled(place: Place) -> bool:
    return bool(place.unsettled) or place.phase is Phase.UNSETTLED


def _show_place(place: Place) -> None:
    bad = _is_unsettled(place)
    say(
        f"{place.service}: {place.trouble or place.phase or 'nothing was ever changed'}",
        "red" if bad else "bold",
    )
    _show_gates(place)
    before = ", as it was before what is unsettled" if bad else ""
    for one in place.stands:
        say(f"  {one.component} {_version(one)}{_history(one)}{before}")
    for sentence in place.disagreements:
        say(f"  {sentence}", "yellow")
    if place.health and not bad:
        health = place.health
        verdict = "well" if health.healthy else "not well"
        proof = "" if health.proven else ", revision unproven"
        say(f"  found {verdict}{proof} {_ago(health.judged)} ago; soak: {health.soaked}")
    for turn in place.unsettled:
        say(f"  turn {turn} is unsettled: nothing else moves here before it is settled", "red")
    if place.lane:
        say(f"  lane: {place.lane}")
    if place.running:
        say(f"  runs: {place.running}")
    for ask_ in place.queue:
        say(f"  waits: {ask_}")


def _show_gates(place: Place) -> None:
    if place.planned:
        say(f"  {place.planned}")
    if place.pin:
        say(f"  {place.pin}; let it move again: towpath unpin {place.service} {place.environment}", "yellow")


def _history(one: Stand) -> str:
    since = f", for {_since(one)}" if _since(one) else ""
    by = f", asked for by {one.by}" if one.by else ""
    approved = f", approved by {' and '.join(one.approved_by)}" if one.approved_by else ""
    claimed = f" ({CLAIMED})" if by + approved and not one.proven else ""
    return since + by + approved + claimed


def _version(one: Stand) -> str:
    return one.holding.version if isinstance(one.holding, Placement) else str(one.holding)


def _since(one: Stand) -> str:
    held = one.holding
    return _ago(held.since) if isinstance(held, Placement) and held.since else ""


def _ago(moment: datetime) -> str:
    """Say an age as people do: its largest unit, or seconds."""
    from datetime import timedelta

    from activities.clock import SystemClock

    age = max(SystemClock().now() - moment, timedelta())
    for unit in (timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)):
        if age >= unit:
            return say_duration(age // unit * unit)
    return say_duration(timedelta(seconds=int(age.total_seconds())))
