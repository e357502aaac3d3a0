"""``notify test``: whether the channels take what they are told."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clients.cli.grammar import AsJson
from clients.cli.reading import read_shared
from clients.cli.terminal import leave, say, say_json
from clients.trouble import UsageError
from domain.outcome import Exit
from domain.spelling import end_with_suggestion
from domain.value import Value
from workers.settings import Surroundings, surroundings

if TYPE_CHECKING:
    from domain.configuration_files import Organisation
    from domain.notice import Event

notify = typer.Typer(no_args_is_help=True, help="Look after notifications.")

ChannelName = Annotated[
    str, typer.Option("--channel", metavar="NAME", help="Only this one; else each that there is.")
]
EventName = Annotated[
    str,
    typer.Option(
        "--event", metavar="EVENT", help="As of such an event, by the channels that some route sends it to."
    ),
]


class Trial(Value):
    """What came of telling one channel."""

    channel: str
    told: bool
    why: str = ""


class Trials(Value):
    """What ``notify test --json`` prints."""

    schema_version: Literal[1] = 1
    trials: tuple[Trial, ...]


@notify.callback()
def _notify() -> None:
    """Keep ``test`` a word of its own, though it is the only one."""


@notify.command(name="test")
def try_out(channel: ChannelName = "", event: EventName = "", as_json: AsJson = False) -> None:
    """Send a test notice now, from this machine, and say for each channel what came of it."""
    place = surroundings()
    organisation = read_shared(place).organisation
    meant = _read_event(event)
    channels = _chosen(organisation, channel, meant)
    trials = asyncio.run(_try_all(place, channels, meant))
    if as_json:
        say_json(Trials(trials=trials))
    else:
        for one in trials:
            say(f"✓ {one.channel}: it took the notice" if one.told else f"✗ {one.why}", _style(one))
    leave(Exit.DONE if all(one.told for one in trials) else Exit.UNTOLD)


def _style(trial: Trial) -> str:
    return "green" if trial.told else "bold red"


def _read_event(written: str) -> "Event | None":
    from domain.notice import Event

    if not written:
        return None
    try:
        return Event(written)
    except ValueError as error:
        raise UsageError(
            f"“{written[:80]}” is not an event; {end_with_suggestion(written, list(Event))}"
        ) from error


def _chosen(organisation: "Organisation", channel: str, event: "Event | None") -> tuple[str, ...]:
    """Return the channels to try. Raises ``UsageError`` where there is none."""
    from domain.notice import SEVERITY_OF

    if not organisation.channels:
        raise UsageError(
            "towpath.yaml names no channels, so nobody is told anything. See docs/how-to/notifications.md."
        )
    if channel and channel not in organisation.channels:
        raise UsageError(
            f"There is no channel “{channel[:80]}”; {end_with_suggestion(channel, organisation.channels)}"
        )
    names = (channel,) if channel else tuple(organisation.channels)
    if event is None:
        return names
    routed = {
        name
        for route in organisation.notify
        if SEVERITY_OF[event].is_at_least(route.severity) and (not route.events or event in route.events)
        for name in route.to
    }
    found = tuple(name for name in names if name in routed)
    if not found:
        raise UsageError(f"No route sends “{event}” to {channel or 'any channel'}. Add one under notify.")
    return found


async def _try_all(
    place: Surroundings, channels: tuple[str, ...], event: "Event | None"
) -> tuple[Trial, ...]:
    from activities.ports import ChannelError
    from domain.notice import Event, Notice, key_of
    from workers.wiring import courier_of

    courier = courier_of(place)
    notice = Notice(
        key=key_of("test"),
        event=event or Event.APPROVAL_WANTED,
        environment="test",
        title="Towpath: a test",
        text="Somebody has tried whether this channel works. Nothing has happened, and nothing is to be done.",
    )

    async def try_one(channel: str) -> Trial:
        try:
            await courier.carry(channel, notice)
        except ChannelError as error:
            return Trial(channel=channel, told=False, why=str(error))
        return Trial(channel=channel, told=True)

    return tuple(await asyncio.gather(*map(try_one, channels)))
