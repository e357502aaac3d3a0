"""What each worker does: the verbs that it registers on its queue, and what it needs to be ready.

Apart from the wiring, since this loads Temporal's client, and a command that only reads the configuration needs none.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from temporalio.client import Client

from activities.archive import Archive
from activities.attempts import Attempts
from activities.clock import SystemClock
from activities.crossing import CrossingActivities
from activities.effects import EffectActivities
from activities.errands import ErrandActivities
from activities.keyring import Keyring
from activities.logbook import Logbook
from activities.notices import NoticeActivities
from activities.ports import Clock
from activities.spaces import Spaces
from activities.tools import Tools
from workers.alarming import EnginesNotifier
from workers.readiness import Question, questions
from workers.settings import Surroundings
from workers.wiring import courier_of, notifier_of, settings_of, store_of, tools
from workers.witnessing import ENGINE


class Wired(NamedTuple):
    """What a worker registers on one queue."""

    activities: list[Callable[..., Any]]


def readiness(
    clients: Sequence[Client], place: Surroundings, environments: Sequence[str]
) -> Mapping[str, Question]:
    """Return what makes a worker of these environments ready."""
    settings = settings_of(place)
    return questions(clients, settings, Keyring(place.keys, settings), lambda: store_of(place), environments)


def effects(chosen: Tools) -> Wired:
    """Return an environment's verbs, for its own queue."""
    verbs = EffectActivities(chosen)
    return Wired(
        [
            verbs.draw_up,
            verbs.road,
            verbs.prove,
            verbs.keep,
            verbs.hear,
            verbs.hear_override,
            verbs.admit,
            verbs.review,
            verbs.perform,
            verbs.soak,
            verbs.look,
            verbs.conclude,
            verbs.recall,
        ]
    )


def errands(place: Surroundings, spaces: Spaces, *, abroad: bool) -> Wired:
    """Return the engine's errands, for the engine's queue; those that lead elsewhere are run at home alone."""
    carried = messages(
        ErrandActivities(notifier_of(place), spaces), CrossingActivities(spaces), abroad=abroad
    )
    return Wired([*carried, NoticeActivities(courier_of(place)).send_notice])


def messages(
    verbs: ErrandActivities, crossing: CrossingActivities, *, abroad: bool
) -> list[Callable[..., Any]]:
    """Return what carries messages between workflows, and calls people."""
    leading: list[Callable[..., Any]] = [
        crossing.ask_way,
        crossing.why_no_way,
        crossing.set_out,
        crossing.join,
    ]
    return [
        verbs.ask_lane,
        verbs.tell,
        verbs.hear_lane,
        verbs.hear_promotion,
        verbs.hear_yieldings,
        verbs.call_back,
        verbs.call_waiters,
        verbs.hear_of_thaw,
        verbs.tell_of_thaw,
        verbs.why_silent,
        verbs.call_person,
        *([] if abroad else leading),
    ]


def attempts_on(
    client: Client, place: Surroundings, environment: str, clock: Clock | None = None
) -> Attempts:
    """Return who notes what was tried in an environment, and has people told of it."""
    chosen = tools(place, environment, clock)
    logbook = Logbook(chosen, Archive(chosen.store, chosen.seals))
    notifier = EnginesNotifier(notifier_of(place), client, chosen.settings)
    return Attempts(environment, notifier, chosen.clock, logbook.note)


def attempts_at_doors(place: Surroundings) -> Attempts:
    """Return who notes what is tried at the doors of workflows whose environments are served elsewhere."""
    return Attempts(ENGINE, notifier_of(place), SystemClock())
