"""What holds for a whole environment: freezes and pins. Effects read it by query, which costs no events."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any, Final

from temporalio import workflow
from temporalio.common import RawValue

from workflows.doorkeeper import BadStartError, RefusedError, read_message, read_value

with workflow.unsafe.imports_passed_through():
    from activities.errands import ErrandActivities, ThawOrder
    from domain.actor import Actor, Channel, Proof
    from domain.doors import FreezeWord, PinWord, UnpinWord, Word
    from domain.gate import Freeze, Pin
    from domain.names import names_in, read_id
    from domain.outcome import Phase
    from domain.override import LONGEST, Override, OverrideOrder, OverrideWord, fitting, overriding
    from domain.record import OverrideRecord
    from domain.saying import Saying, freezing, pinning, thawing, unpinning
    from domain.statement import is_same_word
    from domain.status import EnvironmentStatus
    from domain.telling import tell_environment
    from domain.value import Value, say_duration
    from workflows.chronicle import Chronicle, Memory
    from workflows.errand import errand
    from workflows.guard import Guard
    from workflows.last_word import LastWord
    from workflows.steering import wants_new_run


LARGEST_PINS: Final = 16 * 1024
"""Bytes: with records and refusals they have to fit into one answer."""
LARGEST_CROWD: Final = 8 * 1024
"""Bytes, of who waits here, that a new run is given."""
TOLD_AT_ONCE: Final = 100
"""So many are told within the time that an errand has."""
HEARS_OVERRIDES: Final = "overrides-are-heard"
"""A patch: what an older run took of overrides, it took without asking."""
LAST_WORD: Final = "last-word"
"""A patch: an older run did not look at a thaw while the freeze before it was still looked at."""
FREEZE: Final = "/freeze"
"""What a word is about that is about no service: no service has such a name."""


class Carried(Value):
    """What an environment takes along when it goes on in a new run."""

    freeze: Freeze | None = None
    pins: dict[str, Pin] = {}
    overrides: tuple[Override, ...] = ()
    waiting: tuple[str, ...] = ()
    guarded: bool = False
    taken: tuple[str, ...] = ()
    memory: Memory


class Waiter(Value):
    """A promotion that wants to be told when the gate opens."""

    asker: str


@workflow.defn
class EnvironmentWorkflow:
    """What is frozen or pinned here, until when, by whom and why."""

    def __init__(self) -> None:
        self._environment = workflow.info().workflow_id.removeprefix("environment/")
        self._freeze: Freeze | None = None
        self._pins: dict[str, Pin] = {}
        self._overrides: tuple[Override, ...] = ()
        self._waiting: tuple[str, ...] = ()
        self._let_past: tuple[str, ...] = ()
        self._stirred = False
        self._guarded = False
        self._guard = Guard()
        self._last_word = LastWord()
        self._log = Chronicle(Phase.IDLE)

    @workflow.run
    async def run(self, environment: Any = None, carried: Any = None) -> None:
        self._begin(environment, carried)
        while True:
            try:
                await self._tend()
            except asyncio.CancelledError:
                why = "an environment is never cancelled; thaw it if it is frozen, unpin what is pinned"
                self.refused("cancel", why)

    async def _tend(self) -> None:
        while True:
            # Taken before anybody is told: after a local activity a replay may read another time.
            now = workflow.now()
            while free := self._to_tell(now):
                self._waiting = tuple(one for one in self._waiting if one not in free)
                self._let_past = tuple(one for one in self._let_past if one not in free)
                await errand(ErrandActivities.tell_of_thaw, ThawOrder(waiting=free), "tell of the thaw")
            if self._may_go_on_anew():
                carried = Carried(
                    freeze=self._freeze,
                    pins=self._pins,
                    overrides=self._overrides,
                    waiting=self._waiting,
                    guarded=self._guarded,
                    taken=self._guard.taken,
                    memory=self._log.memory,
                )
                workflow.continue_as_new(args=[None, carried])
            await self._until_something_changes(now)

    async def _until_something_changes(self, now: datetime) -> None:
        """Wait for a message, or for the end of a gate that somebody waits for. Effects compare, they do not wait."""
        self._stirred = False
        ends = [gate.until for one in self._waiting for gate in self._stop(one, now) if gate.until]
        left = min(ends) - now if ends else None
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(
                lambda: self._stirred or self._may_go_on_anew(),
                timeout=left,
                timeout_summary="a freeze or pin ends",
            )

    def _may_go_on_anew(self) -> bool:
        """Tell whether a new run would lose nothing: of a word that a worker still looks at, it would."""
        return wants_new_run() and workflow.all_handlers_finished()

    @workflow.signal(
        description='Freeze. Input: {"by": "you@example.com", "reason": "why", "lasts": "2h"}; lasts is optional'
    )
    async def freeze(self, raw: RawValue) -> None:
        word = read_message(raw, FreezeWord)
        saying = freezing(self._environment, word)
        with self._last_word.on(FREEZE):
            actor = await self._speaker(saying)
        now = workflow.now()
        self._stirred = True
        self._freeze = Freeze(by=actor, reason=word.reason, since=now, until=saying.ends(now))
        self._log.record(OverrideRecord(at=now, actor=actor, did="freeze", comment=word.reason))

    @workflow.signal(description='Thaw. Input: {"by": "you@example.com", "comment": ""}')
    async def thaw(self, raw: RawValue) -> None:
        word = read_message(raw, Word)
        # A signed word goes to the worker even so: it may remember a freeze that an earlier run of this was told of.
        if self._freeze is None and not self._may_be(FREEZE, word):
            message = "it is not frozen"
            raise RefusedError(message)
        with self._last_word.on(FREEZE):
            actor = await self._speaker(thawing(self._environment, word))
        self._stirred = True
        self._freeze = None
        self._log.record(OverrideRecord(at=workflow.now(), actor=actor, did="thaw", comment=word.comment))

    @workflow.signal(
        description="Keep a service as it is. Input: "
        '{"by": "you@example.com", "service": "shop", "reason": "why", "release": "1.4.0", "lasts": "2h"}; '
        "release, which it holds, and lasts are optional"
    )
    async def pin(self, raw: RawValue) -> None:
        word = read_message(raw, PinWord)
        self._room_for(word.service, Pin(by=Actor(name=word.by), reason=word.reason, since=workflow.now()))
        saying = pinning(self._environment, word)
        with self._last_word.on(word.service):
            actor = await self._speaker(saying)
        now = workflow.now()
        pin = Pin(by=actor, reason=word.reason, since=now, until=saying.ends(now), release=word.release)
        self._pins = self._room_for(word.service, pin)
        self._stirred = True
        self._log.record(OverrideRecord(at=now, actor=actor, did=f"pin {word.service}", comment=word.reason))

    @workflow.signal(
        description='Let a service move again. Input: {"by": "you@example.com", "service": "shop", "comment": ""}'
    )
    async def unpin(self, raw: RawValue) -> None:
        word = read_message(raw, UnpinWord)
        if word.service not in self._pins and not self._may_be(word.service, word):
            message = f"{word.service} is not pinned"
            raise RefusedError(message)
        with self._last_word.on(word.service):
            actor = await self._speaker(unpinning(self._environment, word))
        self._stirred = True
        self._pins = {name: pin for name, pin in self._pins.items() if name != word.service}
        did = f"unpin {word.service}"
        self._log.record(OverrideRecord(at=workflow.now(), actor=actor, did=did, comment=word.comment))

    @workflow.signal(description="For its worker: what people say here is heard there first")
    def guard(self, _: RawValue) -> None:
        self._guarded = True

    @workflow.signal(
        description="Let a service past gates for a while. Input: "
        '{"by": "you@example.com", "service": "shop", "gates": ["freezes"], "reason": "why", "lasts": "2h"}; '
        "version is optional, and so is signed, where nothing has to be signed"
    )
    async def override(self, raw: RawValue) -> None:
        word = read_message(raw, OverrideWord)
        if word.lasts > LONGEST:
            message = f"no override lasts longer than {say_duration(LONGEST)}; write less"
            raise RefusedError(message)
        actor = await self._overrider(word)
        now = workflow.now()
        self._overrides = self._room_for_override(overriding(word, actor, now), now)
        self._stirred = True
        # Told once: whether it counts is for the effect to say, and whom it refuses waits again.
        known = [other for other in self._waiting if _service_of(other) == word.service]
        self._let_past = (*self._let_past, *known)
        self._log.record(OverrideRecord(at=now, actor=actor, did=word.did, comment=word.reason))

    @workflow.signal(description="For a promotion: be told when the gate opens")
    def tell_of_thaw(self, raw: RawValue) -> None:
        asker = read_value(workflow.payload_converter().from_payload(raw.payload), Waiter).asker
        _, environment, _ = read_id(asker, "change" if asker.startswith("change/") else "promotion")
        if environment != self._environment:
            message = f"it waits for {environment}"
            raise RefusedError(message)
        self._stirred = True
        self._waiting = tuple(dict.fromkeys([*self._waiting, asker]))

    @workflow.signal(dynamic=True, description="Anything else is refused")
    def unknown(self, name: str, _: Sequence[RawValue]) -> None:
        del name
        message = "an environment takes freeze, thaw, pin, unpin and override"
        raise RefusedError(message)

    @workflow.query
    def status(self) -> EnvironmentStatus:
        return EnvironmentStatus(
            environment=self._environment,
            freeze=self._freeze,
            pins=self._pins,
            guarded=self._guarded,
            overrides=self._overrides,
            refused=self._log.refused,
            records=self._log.chain.records,
            head=self._log.chain.head,
        )

    def refused(self, door: str, why: str, claimed: str = "") -> None:
        self._log.refuse(door, why, claimed)

    def _begin(self, environment: object, carried: object) -> None:
        (name,) = read_id(workflow.info().workflow_id, "environment")
        if environment is not None:
            message = "An environment is started without input: its id says which it is."
            raise BadStartError(message)
        self._environment = name
        if carried is not None:
            state = read_value(carried, Carried)
            self._freeze, self._pins, self._waiting = state.freeze, state.pins, state.waiting
            self._overrides = state.overrides
            self._guarded, self._guard.taken = state.guarded, state.taken
            self._log.remember(state.memory)

    def _may_be(self, gate: str, word: Word | UnpinWord) -> bool:
        """Tell whether it may be shut without our knowing it yet: somebody's word on it is still looked at."""
        if self._guarded and word.signed:
            return True
        return self._last_word.is_open(gate) and workflow.patched(LAST_WORD)

    async def _speaker(self, saying: Saying) -> Actor:
        """Return who said it, and how far they are known. A worker is asked only where it has asked for that."""
        proof = await self._guard.admit(saying) if self._guarded or saying.signed else Proof.NONE
        return Actor(name=saying.by, proof=proof, channel=Channel.SIGNAL)

    async def _overrider(self, word: OverrideWord) -> Actor:
        order, proof = OverrideOrder(environment=self._environment, word=word), Proof.NONE
        if (self._guarded or word.signed) and workflow.patched(HEARS_OVERRIDES):
            proof = await self._guard.admit_override(order)
        return Actor(name=word.by, proof=proof, channel=Channel.SIGNAL)

    def _room_for_override(self, one: Override, now: datetime) -> tuple[Override, ...]:
        """Return the overrides that hold, with this one. Who presents a signed one again fills nothing with it."""
        holding = tuple(other for other in self._overrides if other.holds(now))
        if one.signature and any(is_same_word(self._environment, one, other) for other in holding):
            message = "the very same override holds already"
            raise RefusedError(message)
        kept = fitting(holding, one, LARGEST_PINS)
        if kept is None:
            message = "so many overrides hold here that no more fit; wait for one of them to end"
            raise RefusedError(message)
        return kept

    def _room_for(self, service: str, pin: Pin) -> dict[str, Pin]:
        """Return what is pinned with this one, too."""
        now = workflow.now()
        pins = {name: one for name, one in self._pins.items() if one.holds(now)} | {service: pin}
        if _size(pins) > LARGEST_PINS:
            message = (
                f"{len(pins) - 1} services are pinned here, and no more fit; freeze the environment instead"
            )
            raise RefusedError(message)
        return pins

    def _to_tell(self, now: datetime) -> tuple[str, ...]:
        """Return who has to wait no longer here; and before a new run the first of a crowd, who come again to that."""
        crowd = _too_many(self._waiting) if wants_new_run() else 0
        free = [
            one
            for place, one in enumerate(self._waiting)
            if place < crowd or one in self._let_past or not self._stop(one, now)
        ]
        return tuple(free[:TOLD_AT_ONCE])

    def _stop(self, asker: str, now: datetime) -> list[Freeze | Pin]:
        """Return what keeps whoever waits from going on."""
        gates = (self._freeze, self._pins.get(_service_of(asker)))
        return [gate for gate in gates if gate and gate.holds(now)]

    def details(self) -> str:
        return tell_environment(self.status())


def _service_of(asker: str) -> str:
    (service,) = names_in(asker, 1)
    return service


def _too_many(waiting: Sequence[str]) -> int:
    """Return how many of the first have to go for the others to fit into a new run."""
    sizes = accumulate(map(len, reversed(waiting)))
    return sum(size > LARGEST_CROWD for size in sizes)


def _size(pins: dict[str, Pin]) -> int:
    return sum(len(name) + len(pin.model_dump_json().encode()) for name, pin in pins.items())
