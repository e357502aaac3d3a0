"""The verbs of an environment: the only code that touches it. Each is safe to run twice."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Final, NoReturn, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.archive import Archive
from activities.around import Around, Engine
from activities.bookkeeping import Bookkeeping
from activities.clearance import Cleared, Clearing
from activities.drawing import Drawing
from activities.gatehouse import Gatehouse
from activities.health import Verdict, watch, watch_one
from activities.logbook import Logbook
from activities.ports import BadSealError, StaleFenceError, TargetRefusalError
from activities.proving import Proving
from activities.receipts import Receipts
from activities.refusing import OUTRANKED, not_cleared
from activities.rehearsing import Rehearsing
from activities.reviews import Reviewing
from activities.signpost import Signpost
from activities.tools import Tools
from activities.transcribing import transcribed
from domain.attempt import Kind
from domain.environment import Unknown, same
from domain.journal import Evidence, Recollection, Soaked
from domain.names import Subject
from domain.order import Account, DrawOrder, Left, LookOrder, Performed, ProofOrder, StepOrder
from domain.override import OverrideOrder
from domain.plan import Verb
from domain.refusal import Cause, Refusal
from domain.review import ReviewOrder
from domain.road import Waymark
from domain.saying import Heard, Saying
from domain.soak import Soaking, go_on
from domain.terms import Proposal, Request, Sealed, Story
from domain.trail import Piece
from domain.warrant import Warrant

ResultT = TypeVar("ResultT")
BEAT: Final = timedelta(seconds=1)
TARGET_REFUSED: Final = "TargetRefused"
BAD_SEAL: Final = "BadSeal"
SICK: Final = "Sick"


class EffectActivities:
    """One environment's verbs, for its own task queue."""

    def __init__(self, tools: Tools, around: Around | None = None) -> None:
        self._tools = tools
        self._archive = Archive(tools.store, tools.seals)
        self._around = around = around or Engine()
        self._logbook = Logbook(tools, self._archive)
        self._books = Bookkeeping(tools, self._archive, self._logbook)
        self._gatehouse = Gatehouse(tools, self._archive, around, self._logbook)
        self._clearing = Clearing(tools, self._archive, self._books, self._gatehouse, around)
        self._drawing = Drawing(tools, self._archive, self._gatehouse)
        self._signpost = Signpost(tools, self._archive, self._gatehouse)
        self._proving = Proving(tools.signers, tools.clock)
        self._reviewing = Reviewing(tools, self._archive)
        self._receipts = Receipts(tools, self._archive, self._clearing, self._books, self._gatehouse)
        self._rehearsing = Rehearsing(tools, self._archive, self._clearing)

    @activity.defn
    async def draw_up(self, order: DrawOrder) -> Sealed:
        """Return the sealed proposal for a request: terms, plan, and whatever speaks against it.

        Changes nothing, but for a settlement: there every deed of the lost change that has not begun is called
        off first. A second run makes a new nonce, and so another proposal. The records of the promotion that
        asks are kept first, and promotions of the same lane that ended in silence have theirs closed.
        """
        request = order.request
        self._own(request.subject)
        if order.records:
            self._around.meet()
            await self._books.open_own(request.subject, order.records)
        if request.story is Story.SETTLEMENT:
            await self._clearing.settling(request)
        return await _alive(self._drawing.propose(request))

    @activity.defn
    async def road(self, request: Request) -> Waymark:
        """Say what lies before this environment on a release's road, or that the release stands here. Reads only."""
        self._own(request.subject)
        return await _alive(self._signpost.point(request))

    @activity.defn
    async def prove(self, order: ProofOrder) -> str:
        """Say why a signature is not that person's over that statement, or nothing where it is.

        A first opinion, for whoever waits: the effect asks again. Touches nothing; the promotion's records are kept
        on the way.
        """
        self._own_environment(order.environment)
        await self._books.keep_own(order.records)
        return await self._proving.as_it_comes(order.statement, order.signature)

    @activity.defn
    async def keep(self, records: Piece) -> None:
        """Keep records of the promotion that this runs for, in its environment's store. Twice is once."""
        await self._books.keep_own(records)

    @activity.defn
    async def hear(self, saying: Saying) -> Heard:
        """Say whether what somebody says counts here, and how far they are known.

        What is said of a gate, signed, is remembered in the store before it counts, once however often it is heard.
        """
        self._own_environment(saying.environment)
        return await self._gatehouse.hear(saying)

    @activity.defn
    async def hear_override(self, order: OverrideOrder) -> Heard:
        """Say whether an override that comes may count, and how far its sender is known. The deed asks again."""
        self._own_environment(order.environment)
        return await self._gatehouse.hear_override(order)

    @activity.defn
    async def admit(self, request: Request) -> str:
        """Say why whoever asks for this may not, or nothing where they may. A first opinion. Touches nothing."""
        self._own(request.subject)
        return await self._gatehouse.admit(request)

    @activity.defn
    async def review(self, order: ReviewOrder) -> str:
        """Write down that somebody has looked at a broken glass; return why it does not count, or nothing.

        Judged here, by this worker's own configuration. A second run finds what the first one wrote.
        """
        self._own(order.subject)
        try:
            return await self._reviewing.sign(order)
        except BadSealError as error:
            raise ApplicationError(str(error), type=BAD_SEAL, non_retryable=True) from error

    @activity.defn
    async def perform(self, order: StepOrder) -> Performed:
        """Do one step, after this environment's own clearance. A second run finds what the first one did.

        Fails with ``NotCleared`` where it may not be done, ``Outranked`` where a newer change was here, and
        ``TargetRefused`` where the target will not: in each case nothing more was touched by this run. Where
        another wave waits for it, the step is done once it is well, and fails with ``Sick`` where it is not.
        """
        self._own(order.warrant.request.subject)
        return await _alive(self._perform(order))

    @activity.defn
    async def soak(self, warrant: Warrant) -> Sealed:
        """Return sealed evidence of the health during the whole soak; end at once when it turns sick.

        Touches nothing. A second run goes on from the first one's last heartbeat: what nobody has watched and found
        well does not count, nor does what was before the turn's newest deed. What the first one found sick is, though
        it could not say so. Fails with ``NotCleared`` where this turn has no deed of this plan.
        """
        proposal = self._clearing.unseal(warrant)
        last_deed = await self._clearing.last_deed(proposal, warrant.turn)
        beaten: Sequence[object] = activity.info().heartbeat_details
        seen = go_on(beaten, last_deed, self._tools.clock.now())
        verdict = await self._soaked(proposal, warrant.turn, seen)
        evidence = Evidence(
            subject=proposal.plan.subject,
            turn=warrant.turn,
            passed=verdict.passed,
            proven=verdict.proven,
            sentences=verdict.sentences,
            soaked=Soaked.FULL if verdict.passed else Soaked.CUT,
            intent=proposal.plan.intent,
            began=seen.began,
            at=self._tools.clock.now(),
        )
        return self._archive.seal(self._tools.environment, evidence)

    async def _soaked(self, proposal: Proposal, turn: int, seen: Soaking) -> Verdict:
        if seen.sick:
            return Verdict(seen.sick, passed=False, proven=False)

        def beat() -> tuple[str, ...]:
            seen.watch(self._tools.clock.now())
            return seen.beat()

        async with transcribed(self._tools, proposal.plan.subject, turn, "soak", "soak"):
            verdict = await _alive(watch(self._tools, proposal, seen), beat)
        if not verdict.passed:
            seen.sick = verdict.sentences
            activity.heartbeat(*seen.beat())
        return verdict

    @activity.defn
    async def look(self, order: LookOrder) -> Sealed:
        """Return sealed evidence of a scene of a rehearsal: that all was placed, or put back, and is well.

        Touches nothing. A second run looks again.
        """
        self._own(order.warrant.request.subject)
        try:
            return await _alive(self._rehearsing.look(order))
        except TargetRefusalError as refusal:
            raise ApplicationError(str(refusal), type=TARGET_REFUSED, non_retryable=True) from refusal
        except BadSealError as error:
            raise ApplicationError(str(error), type=BAD_SEAL, non_retryable=True) from error

    @activity.defn
    async def conclude(self, account: Account) -> Left:
        """See that what should stand there is well, and leave the change's receipt. Twice is once.

        Where it is not well, no receipt is left. Fails with ``NotCleared`` where a change that says it was done
        has not been let in to the end.
        """
        self._own(account.warrant.request.subject)
        try:
            return await _alive(self._receipts.conclude(account))
        except BadSealError as error:
            raise ApplicationError(str(error), type=BAD_SEAL, non_retryable=True) from error

    @activity.defn
    async def recall(self, subject: Subject) -> Recollection:
        """Return what store and targets remember, once whatever still runs of an earlier lane has ended."""
        self._own(subject)
        return await _alive(self._receipts.recall(subject))

    def _own(self, subject: Subject) -> None:
        self._own_environment(subject.environment)

    def _own_environment(self, environment: str) -> None:
        if environment != self._tools.environment:
            why = f"This worker serves {self._tools.environment} and does nothing to {environment}."
            refusal = Refusal(cause=Cause.FORBIDDEN, why=why, attempt=Kind.WARRANT)
            raise not_cleared(refusal, journaled=False)

    async def _perform(self, order: StepOrder) -> Performed:
        try:
            match order.step.verb:
                case Verb.PLACE:
                    return await self._place(order)
                case Verb.RESTORE:
                    return await self._restore(order)
                case Verb.OBSERVE:
                    return await self._observe(order)
        except TargetRefusalError as refusal:
            raise ApplicationError(str(refusal), type=TARGET_REFUSED, non_retryable=True) from refusal
        except BadSealError as error:
            raise ApplicationError(str(error), type=BAD_SEAL, non_retryable=True) from error

    async def _place(self, order: StepOrder) -> Performed:
        cleared = await self._clearing.deed(order, order.step)
        if not cleared.done_before:
            try:
                async with self._kept(cleared, f"place {cleared.deed.component}"):
                    await cleared.target.place(cleared.deed)
            except StaleFenceError as stale:
                raise ApplicationError(str(stale), type=OUTRANKED, non_retryable=True) from stale
        placed = await self._verified(cleared, f"placed {cleared.deed.after}")
        return placed.but(evidence=await self._well(order, cleared)) if cleared.is_waited_for else placed

    async def _well(self, order: StepOrder, cleared: Cleared) -> Sequence[str]:
        """See that a step is well, since the next wave waits for that; what is sick ends its wave."""
        proposal, step = self._clearing.unseal(order.warrant), order.step
        fence, what = cleared.deed.fence, f"look whether {step.berth} is well"
        async with transcribed(self._tools, cleared.deed.subject, fence.turn, f"health-{fence.act}", what):
            verdict = await watch_one(self._tools, proposal, step)
        if not verdict.passed:
            message = f"{step.berth} is not well, so no other wave begins: {'; '.join(verdict.sentences)}"
            raise ApplicationError(message, type=SICK, non_retryable=True)
        return verdict.sentences

    async def _restore(self, order: StepOrder) -> Performed:
        subject, of = order.warrant.request.subject, order.step.of
        if of is None:
            _forbid("An undo names the deed that it undoes; this one names none.")
        cleared = await self._clearing.undo(order, subject, of)
        if cleared is None:
            return Performed(did=f"deed {of} never happened", holds=order.step.after)
        if not cleared.done_before:
            try:
                async with self._kept(cleared, f"put back {cleared.deed.component}"):
                    await cleared.target.restore(cleared.deed)
            except StaleFenceError:
                seen = await cleared.target.observe()
                return Performed(did=f"outranked by {seen.fence}", holds=seen.capture.holding)
        return await self._verified(cleared, f"put back {cleared.deed.after}")

    async def _observe(self, order: StepOrder) -> Performed:
        terms = self._clearing.unseal(order.warrant).terms.targets[order.step.berth]
        target = self._tools.target(terms, order.warrant.request.subject, order.step.berth)
        seen = await target.observe()
        return Performed(did=f"saw {seen.capture.holding}", holds=seen.capture.holding)

    def _kept(self, cleared: Cleared, what: str) -> AbstractAsyncContextManager[None]:
        deed = cleared.deed
        return transcribed(self._tools, deed.subject, deed.fence.turn, str(deed.fence.act), what)

    async def _verified(self, cleared: Cleared, did: str) -> Performed:
        """Believe what the target shows, not what it was told: observed equals what was wanted."""
        wanted = cleared.deed.after
        if not cleared.target.repeatable:
            return Performed(did=f"{did} (its target cannot show it)", holds=wanted)
        seen = (await cleared.target.observe()).capture.holding
        if not same(wanted, seen) and not isinstance(wanted, Unknown):
            message = f"{cleared.deed.component} should hold {wanted} now, and holds {seen}."
            raise ApplicationError(message, type="NotAsWanted")
        return Performed(did=did, holds=seen)


def _forbid(why: str) -> NoReturn:
    raise not_cleared(Refusal(cause=Cause.FORBIDDEN, why=why), journaled=False)


async def _alive(work: Awaitable[ResultT], known: Callable[[], tuple[str, ...]] = tuple) -> ResultT:
    """Heartbeat while the work goes on, so that its worker's death is noticed and a cancel is heard.

    What is ``known`` at the last of them is found again by a second run. Without an engine there is nobody to hear it.
    """
    if not activity.in_activity():
        return await work
    beating = asyncio.create_task(_beat(known))
    try:
        return await work
    finally:
        beating.cancel()


async def _beat(known: Callable[[], tuple[str, ...]]) -> None:
    while True:
        await asyncio.sleep(BEAT.total_seconds())
        activity.heartbeat(*known())
