"""A small store as an environment's worker leaves it: promoted, rejected, let in by breaking the glass, rolled back."""

from datetime import timedelta
from pathlib import Path
from typing import Final

from activities.archive import Archive
from activities.clock import SystemClock
from activities.keyring import Keyring, make_key
from activities.reviews import Reviews
from activities.trails import Trails
from domain.actor import Actor
from domain.approval import Decision, Policy, Verdict
from domain.configuration import Configuration
from domain.configuration_files import EnvironmentFile
from domain.environment import Absent, Holding, Placement
from domain.fence import Fence
from domain.journal import Capture, Entry, LetIn, Receipt, Settled
from domain.names import Subject, artifact_key, manifest_key, promotion_id, transcript_key
from domain.outcome import Outcome
from domain.plan import Deed, Step, Undo, Verb
from domain.record import Chain, DecisionRecord, OutcomeRecord, ProposalRecord, RequestRecord
from domain.release import Component, Kind, Release
from domain.review import Broken, Reviewed
from domain.statement import Matter
from domain.terms import Request, Story, TargetTerms
from domain.trail import ENDED, Trail, by_receipt, tail
from domain.urgency import Glass, Urgency
from tests.domain.strategies import NOON, digest
from tests.fakes import FixedSettings, MemoryStore

SHOP: Final = Subject(service="shop", environment="production")
ANA, BO = Actor(name="ana"), Actor(name="bo")
POLICY: Final = Policy(quorum=1, approvers=("bo",), valid=timedelta(days=1))
NO_POLICY: Final = Policy(quorum=0, approvers=(), valid=timedelta(days=1))


class SealedPast:
    """Writes it through the engine's own parts, under a key of its own."""

    def __init__(self, folder: Path) -> None:
        self.key = make_key(folder, SHOP.environment)
        self.store = MemoryStore()
        self._folder = folder
        self.archive = self.trusting(self.store, self.key)
        self._trails = Trails(self.store, self.archive, SystemClock())
        self._ledger: str | None = None

    def trusting(self, store: MemoryStore, key: str) -> Archive:
        """Return an archive that believes this key."""
        environment = EnvironmentFile(environment=SHOP.environment, key=key)
        settings = FixedSettings(Configuration(environments={SHOP.environment: environment}))
        return Archive(store, Keyring(self._folder, settings))

    async def write(self) -> None:
        await self._promoted("1.0", 10, Absent())
        await self._rejected("2.0")
        await self._promoted("3.0", 20, self._holding("1.0"), Urgency.BREAK_GLASS)
        await self._rolled_back(30, of=20)
        await self.store.create(transcript_key(SHOP, 10, "1"), b'{"lines": ["placed"]}')

    async def _promoted(
        self, version: str, turn: int, before: Holding, urgency: Urgency = Urgency.USUAL
    ) -> None:
        let_in = self._let_in(version, urgency)
        trail = await self._asked(version, let_in)
        step = _step(before, self._holding(version))
        fence = Fence(turn=turn, act=1)
        entry = Entry(
            subject=SHOP,
            fence=fence,
            step=step,
            steps=1,
            target=TargetTerms(target="directory"),
            capture=Capture(holding=before),
            let_in=let_in,
            at=NOON,
        )
        if urgency is Urgency.BREAK_GLASS:
            await self._reviewed(version, turn)
        await self.archive.write_entry(entry)
        receipt = _receipt(turn, Story.PROMOTION, (Deed(step=step, fence=fence),)).but(
            version=version,
            release=_release(version).digest(),
            intent=digest(version),
            let_in=let_in,
            reason=let_in.request.reason,
            ledger=await self._page(),
        )
        await self.archive.write_receipt(receipt)
        end = await self._trails.end_of(trail)
        outcome = OutcomeRecord(at=NOON, outcome=Outcome.PROMOTED, previous=end.anchor)
        await self._trails.keep(trail, end.but(records=(outcome,), closed=by_receipt(turn)))
        await self.store.create(manifest_key("shop", version), _release(version).canonical().encode())
        await self.store.create(artifact_key(digest(f"site {version}")), b"the content")

    async def _rejected(self, version: str) -> None:
        let_in = self._let_in(version, Urgency.USUAL, Verdict.REJECT)
        await self._asked(version, let_in, Outcome.REJECTED)

    async def _asked(self, version: str, let_in: LetIn, outcome: Outcome | None = None) -> Trail:
        trail = Trail(subject=SHOP, version=version, run=f"run-{version}")
        matter = Matter(
            promotion=promotion_id(SHOP, version),
            environment=SHOP.environment,
            release=_release(version).digest(),
            plan=digest(version),
            nonce="n",
        )
        chain = Chain().with_record(RequestRecord(at=NOON, request=let_in.request))
        chain = chain.with_record(ProposalRecord(at=NOON, matter=matter, policy=let_in.policy))
        await self._trails.keep(trail, tail(chain))
        for decision in let_in.decisions:
            chain = chain.with_record(DecisionRecord(at=NOON, decision=decision))
        if outcome:
            chain = chain.with_record(OutcomeRecord(at=NOON, outcome=outcome))
        await self._trails.keep(trail, tail(chain, ENDED if outcome else ""))
        return trail

    async def _reviewed(self, version: str, turn: int) -> None:
        broken = Broken(
            subject=SHOP, turn=turn, version=version, plan=digest(version), by=ANA, reason="it burns", at=NOON
        )
        reviews = Reviews(self.store, self.archive)
        await reviews.note(broken)
        said = Reviewed(subject=SHOP, turn=turn, of=broken.digest(), by=BO, comment="seen", at=NOON)
        await reviews.sign(said)

    async def _rolled_back(self, turn: int, of: int) -> None:
        request = Request(story=Story.ROLLBACK, subject=SHOP, actor=ANA, reason="it is slow", of=of)
        receipt = _receipt(turn, Story.ROLLBACK, ()).but(
            of=of,
            outcome=Outcome.ROLLED_BACK,
            request=request,
            reason=request.reason,
            ledger=await self._page(),
        )
        await self.archive.write_receipt(receipt)

    async def _page(self) -> str | None:
        newest = await self._trails.newest_page(SHOP)
        return newest.digest if newest else None

    def _let_in(self, version: str, urgency: Urgency, verdict: Verdict = Verdict.APPROVE) -> LetIn:
        is_broken = urgency is Urgency.BREAK_GLASS
        decision = Decision(actor=BO, verdict=verdict, intent=digest(version), at=NOON)
        request = Request(subject=SHOP, version=version, actor=ANA, reason="it burns", urgency=urgency)
        return LetIn(
            request=request,
            decisions=() if is_broken else (decision,),
            policy=NO_POLICY if is_broken else POLICY,
            nonce="n",
            glass=Glass(breakers=("ana",), reviewers=("bo",)) if is_broken else Glass(),
        )

    def _holding(self, version: str) -> Placement:
        release = _release(version)
        return Placement(version=version, release=release.digest(), artifact=release.components[0].artifact)


def _release(version: str) -> Release:
    site = Component(name="site", kind=Kind.CONTENT, artifact=digest(f"site {version}"), size=11)
    return Release(service="shop", version=version, components=(site,), notes="a feature", created=NOON)


def _step(before: Holding, after: Holding) -> Step:
    return Step(
        component="site",
        target="directory",
        verb=Verb.PLACE,
        before=before,
        after=after,
        undo=Undo.RESTORE,
        fenced=True,
        repeatable=True,
    )


def _receipt(turn: int, story: Story, deeds: tuple[Deed, ...]) -> Receipt:
    return Receipt(
        subject=SHOP,
        turn=turn,
        story=story,
        settled=Settled.DONE,
        outcome=Outcome.PROMOTED,
        before={},
        after={},
        deeds=deeds,
        actor=ANA,
        began=NOON,
        ended=NOON,
    )
