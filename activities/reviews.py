"""What was done in an emergency, and who has looked at it since: sealed papers, each written once."""

import asyncio

from pydantic import ValidationError

from activities.archive import Archive
from activities.attempts import caught
from activities.ports import AlreadyExistsError, BadSealError, NotInStoreError, Signers, Store
from activities.proving import Proving
from activities.tools import Tools
from domain.actor import Actor, Channel, Proof
from domain.attempt import Kind
from domain.emergency import glass_of
from domain.gatekeeping import passed
from domain.names import Subject, is_identifier, review_key, review_prefix
from domain.review import Broken, Review, Reviewed, ReviewOrder, why_no_review
from domain.statement import review_statement
from domain.terms import Proposal, Sealed
from domain.urgency import Urgency
from domain.warrant import Facts, Warrant

BROKEN = "broken"
REVIEWED = "reviewed"


class Reviews:
    """Reads reviews by the environments' public keys. A paper with a bad seal raises ``BadSealError``."""

    def __init__(self, store: Store, archive: Archive) -> None:
        self._store = store
        self._archive = archive

    async def of(self, subject: Subject, turn: int) -> Review | None:
        """Return what was broken in a turn, and its review; None where nothing was."""
        key, environment = review_key(subject, turn, BROKEN), subject.environment
        try:
            broken = self._archive.unseal(await self._sealed(key), environment, Broken)
        except NotInStoreError:
            return None
        if (broken.subject, broken.turn) != (subject, turn):
            raise _moved(key, broken.subject, broken.turn)
        return Review(broken=broken, reviewed=await self._reviewed(broken))

    async def _reviewed(self, broken: Broken) -> Reviewed | None:
        key = review_key(broken.subject, broken.turn, REVIEWED)
        try:
            sealed = await self._sealed(key)
        except NotInStoreError:
            return None
        reviewed = self._archive.unseal(sealed, broken.subject.environment, Reviewed)
        if reviewed.of != broken.digest():
            raise _moved(key, reviewed.subject, reviewed.turn)
        return reviewed

    async def everywhere(self) -> list[Review]:
        """Return every broken glass that the store knows of, oldest first."""
        keys = [key.removesuffix(".json").split("/") for key in await self._store.list("review")]
        turns = {
            (service, environment, int(turn))
            for room, service, environment, turn, what in (key for key in keys if len(key) == _PARTS)
            if (room, what) == ("review", BROKEN)
            and is_identifier(service)
            and is_identifier(environment)
            and turn.isdecimal()
        }
        looks = [self.of(Subject(service=service, environment=name), turn) for service, name, turn in turns]
        found = [review for review in await asyncio.gather(*looks) if review]
        return sorted(found, key=lambda review: review.broken.at)

    async def note(self, broken: Broken) -> None:
        """Write down that the glass was broken. Twice is once."""
        await self._write(review_key(broken.subject, broken.turn, BROKEN), broken)

    async def sign(self, reviewed: Reviewed) -> bool:
        """Write a review down; False where there is one already."""
        return await self._write(review_key(reviewed.subject, reviewed.turn, REVIEWED), reviewed)

    async def _write(self, key: str, paper: Broken | Reviewed) -> bool:
        sealed = self._archive.seal(paper.subject.environment, paper)
        try:
            await self._store.create(key, sealed.canonical().encode())
        except AlreadyExistsError:
            return False
        return True

    async def _sealed(self, key: str) -> Sealed:
        try:
            return Sealed.model_validate_json(await self._store.read(key))
        except ValidationError as error:
            raise BadSealError(f"“{key}” in the store is damaged") from error


class Reviewing:
    """Notes and signs reviews for one environment's worker."""

    def __init__(self, tools: Tools, archive: Archive) -> None:
        self._tools = tools
        self._reviews = Reviews(tools.store, archive)
        self._proving = Proving(tools.signers, tools.clock)

    async def note(self, warrant: Warrant, proposal: Proposal, facts: Facts) -> None:
        """Before the first deed of whoever broke the glass, write down that it is to be looked at."""
        request = warrant.request
        if request.urgency is not Urgency.BREAK_GLASS or not proposal.is_forward:
            return
        if await self._reviews.of(request.subject, warrant.turn) is None:
            # It has been cleared: where requests are signed, this one was found good.
            signed = glass_of(self._tools.configuration(request.subject.service), request.subject).signed
            proof = Proof.SSH_SIGNATURE if signed else Proof.NONE
            broken = Broken(
                subject=request.subject,
                turn=warrant.turn,
                version=proposal.plan.version,
                plan=proposal.plan.intent,
                by=request.actor.but(proof=proof),
                key=request.requester.key,
                reason=request.reason,
                past=passed(proposal, facts),
                at=self._tools.clock.now(),
            )
            await self._reviews.note(broken)

    async def sign(self, order: ReviewOrder) -> str:
        """Write a review down. Return why it does not count, or nothing where it was written."""
        review, word = await self._reviews.of(order.subject, order.turn), order.word
        if review is None:
            return f"nobody broke the glass in turn {order.turn} of {order.subject}"
        broken, done = review.broken, review.reviewed
        if done:
            is_same = (done.by.name, done.comment) == (word.by, word.comment)
            return "" if is_same else f"it was reviewed already, by {done.by.name}: {done.comment}"
        glass = glass_of(self._tools.configuration(order.subject.service), order.subject)
        if why := why_no_review(broken, glass, word):
            return why
        if word.signed and (why := await self._why_forged(broken, order)):
            return why
        proof = Proof.SSH_SIGNATURE if word.signed else Proof.NONE
        reviewed = Reviewed(
            subject=order.subject,
            turn=order.turn,
            of=broken.digest(),
            by=Actor(name=word.by, channel=Channel.SIGNAL, proof=proof),
            comment=word.comment,
            at=self._tools.clock.now(),
            signature=word.signed,
        )
        return "" if await self._reviews.sign(reviewed) else "somebody else has just reviewed it"

    async def _why_forged(self, broken: Broken, order: ReviewOrder) -> str:
        word = order.word
        if word.signed is None:
            return ""
        return await self._proving.why_not(
            review_statement(broken, word.by, word.comment, word.signed), word.signed
        )


async def why_review_is_forged(review: Review, signers: Signers) -> str:
    """Say why a review's signature is not its reviewer's own, as an auditor finds it; nothing where it is."""
    done = review.reviewed
    if done is None or done.signature is None:
        return "it was not signed"
    statement = review_statement(review.broken, done.by.name, done.comment, done.signature)
    return await signers.why_not(statement, done.signature.ssh, done.signature.at)


_PARTS = len(("review", "service", "environment", "turn", "what"))


def _moved(key: str, subject: Subject, turn: int) -> BadSealError:
    why = f"“{key}” holds what is about {review_prefix(subject)}/{turn}: somebody moved it"
    caught(Kind.SEAL, why)
    return BadSealError(why)
