"""The exact bytes that people sign: one statement for each thing that a signature can vouch for.

A statement names everything that it is about, so that no signature fits anything else: another environment,
promotion, plan or person. Its text is canonical JSON and ends with a newline, so that it can be signed from a file.
"""

from enum import StrEnum

from domain.approval import Decision
from domain.names import Identifier, promotion_id
from domain.override import Override, OverrideWord, word_of
from domain.release import Release
from domain.review import Broken
from domain.saying import Saying
from domain.signature import Signature, WordSignature
from domain.terms import Proposal, Request
from domain.urgency import Urgency
from domain.value import Digest, Value, canonical, digest_of


class Purpose(StrEnum):
    """What a signature was made for: the namespace of ``ssh-keygen -Y``. One made for another purpose is not good."""

    DECISION = "decision@towpath"
    REQUEST = "request@towpath"
    RELEASE = "release@towpath"
    WORD = "word@towpath"
    REVIEW = "review@towpath"
    OVERRIDE = "override@towpath"


class Statement(Value):
    """What somebody signs: who they are, for what purpose, and the text."""

    purpose: Purpose
    by: str
    text: str


class Matter(Value):
    """What a decision is about: everything that its signature is bound to."""

    promotion: str
    environment: Identifier
    release: Digest | None
    plan: Digest
    nonce: str


def matter_of(proposal: Proposal) -> Matter:
    plan = proposal.plan
    return Matter(
        promotion=promotion_id(plan.subject, plan.version),
        environment=plan.subject.environment,
        release=plan.release,
        plan=plan.intent,
        nonce=proposal.terms.nonce,
    )


def decision_statement(matter: Matter, decision: Decision, signature: Signature) -> Statement:
    """Return what an approver signs: the verdict on this plan, in this promotion, and the comment with it."""
    return _statement(
        Purpose.DECISION,
        decision.actor.name,
        signature,
        verdict=decision.verdict,
        comment=decision.comment,
        **matter.model_dump(mode="json"),
    )


def request_statement(request: Request, signature: Signature) -> Statement:
    """Return what a requester signs: what is asked for, and why."""
    return _statement(
        Purpose.REQUEST,
        request.actor.name,
        signature,
        story=request.story,
        service=request.subject.service,
        environment=request.subject.environment,
        version=request.version,
        reason=request.reason,
        of=request.of,
        **({} if request.urgency is Urgency.USUAL else {"urgency": request.urgency}),
    )


def asked_by(request: Request) -> Digest | None:
    """Return what stands for a signed request: the digest of its statement; nothing where it was not signed."""
    if request.signature is None:
        return None
    return digest_of(request_statement(request, request.signature).text.encode())


def override_statement(environment: str, word: OverrideWord, signature: Signature) -> Statement:
    """Return what somebody signs who lets a service past gates: where, which, why, and for how long from then on."""
    return _statement(
        Purpose.OVERRIDE,
        word.by,
        signature,
        environment=environment,
        service=word.service,
        version=word.version,
        gates=sorted(word.gates),
        reason=word.reason,
        lasts=word.lasts.total_seconds(),
    )


def is_same_word(environment: str, one: Override, other: Override) -> bool:
    """Tell whether two signed overrides are one word: the same text, however its signature is written."""
    if one.signature is None or other.signature is None:
        return False
    said = override_statement(environment, word_of(one), one.signature)
    return said == override_statement(environment, word_of(other), other.signature)


def review_statement(broken: Broken, by: str, comment: str, signature: Signature) -> Statement:
    """Return what a reviewer signs: what was broken, by whom and why, and what they say of it."""
    return _statement(
        Purpose.REVIEW,
        by,
        signature,
        service=broken.subject.service,
        environment=broken.subject.environment,
        turn=broken.turn,
        version=broken.version,
        of=broken.digest(),
        comment=comment,
    )


def word_statement(saying: Saying, signature: WordSignature) -> Statement:
    """Return what somebody signs who freezes, thaws, pins or steers: the word, for whom it is meant, all it says."""
    said = saying.model_dump(mode="json", exclude={"by", "signed"})
    return _statement(Purpose.WORD, saying.by, signature, nonce=signature.nonce, **said)


def release_statement(release: Release) -> Statement:
    """Return what a release's author signs: its whole manifest, but for the signature."""
    unsigned = release.but(signature="")
    return Statement(purpose=Purpose.RELEASE, by=release.author, text=f"{unsigned.canonical()}\n")


def _statement(purpose: Purpose, by: str, signature: Signature, **words: object) -> Statement:
    said = {
        "towpath": f"{purpose} 1",
        "by": by,
        "at": signature.at.isoformat(),
        "expires": signature.expires.isoformat(),
        **words,
    }
    return Statement(purpose=purpose, by=by, text=f"{canonical(said)}\n")


def why_altered(proposal: Proposal) -> str:
    """Say in what a proposal that is shown is not the one that its plan's digest stands for, or nothing.

    Whoever signs a plan has seen its digest computed of what was put before them.
    """
    plan, release = proposal.plan, proposal.release
    if plan.terms != proposal.terms.digest():
        return "its terms are not those that its plan was made with"
    if plan.release != (release.digest() if release else None):
        return "its release is not the one that its plan names"
    return ""
