"""What an auditor judges again: whether a promotion might begin at the moment when its first deed was journaled."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from domain.actor import Proof
from domain.approval import Decision, has_lapsed
from domain.audit import Finding
from domain.journal import Entry, LetIn, Receipt
from domain.override import Override, that_count, why_void
from domain.saying import Saying, is_skip_of
from domain.signature import AHEAD, out_of_time
from domain.terms import Story
from domain.urgency import Urgency, Waivable


def effect_findings(
    receipt: Receipt,
    entries: Sequence[Entry],
    decisions: Sequence[Decision],
    overridden: Sequence[Override],
) -> Iterator[Finding]:
    """Find a promotion that might not begin when it did: too early, too late, or at a gate that was closed.

    ``decisions`` are those that were said in time, and ``overridden`` what the receipt says; both with the proofs that
    the auditor found. Whether these people let it in at all, is found elsewhere.
    """
    let_in = receipt.let_in
    begun = [entry for entry in entries if entry.let_in and not entry.void]
    if receipt.story is not Story.PROMOTION or let_in is None:
        return
    if begun and let_in not in [entry.let_in for entry in begun]:
        yield _found(receipt, "its journal says that others let it in, or by another policy")
        return
    for entry in begun:
        whys = (*_lapsed(receipt, let_in, decisions, entry.at), *_shut(receipt, let_in, entry, overridden))
        for why in whys:
            yield _found(receipt, f"it began {entry.at:%Y-%m-%d %H:%M:%S} UTC, and {why}")


def late(let_in: LetIn, decision: Decision, began: datetime | None) -> str:
    """Say why a decision did not count when the first deed was begun, or nothing where it did, or none was."""
    if began is None:
        return ""
    if let_in.policy.signed:
        return out_of_time(decision.signature, began) if decision.signature else ""
    return "it was said after the first deed" if decision.at > began + AHEAD else ""


def began_at(entries: Sequence[Entry]) -> datetime | None:
    """Return when a promotion's first deed was begun, where the journal says by what it was judged."""
    return next((entry.at for entry in entries if entry.let_in and not entry.void), None)


def _lapsed(receipt: Receipt, let_in: LetIn, decisions: Sequence[Decision], began: datetime) -> Iterator[str]:
    request = let_in.request
    if request.signature and request.signature.at > began + AHEAD:
        yield "it was asked for after that"
    if has_lapsed(let_in.policy, request.requester, receipt.intent or "", decisions, began):
        yield "its approval had lapsed by then"


def _shut(receipt: Receipt, let_in: LetIn, entry: Entry, overridden: Sequence[Override]) -> Iterator[str]:
    """Say which planned gate was closed then, and let nobody past."""
    proven = dict(zip(receipt.overridden, overridden, strict=True))
    used = [proven.get(one, one.but(by=one.by.but(proof=Proof.NONE))) for one in entry.overridden]
    who, version = let_in.overriders, receipt.version or ""
    for one in used:
        if why := why_void(one, who, entry.at):
            yield f"the override by {one.by.name} did not count then: {why}"
    counting = that_count(used, who, version, entry.at)
    broken = let_in.glass.skips if let_in.request.urgency is Urgency.BREAK_GLASS else ()
    past = {*broken, *(gate for one in counting for gate in one.gates)}
    schedule = let_in.schedule.but(
        **({"windows": ()} if Waivable.WINDOWS in past else {}),
        **({"freezes": ()} if Waivable.FREEZES in past else {}),
    )
    if not schedule.is_open(entry.at):
        yield f"{receipt.subject.environment} was {schedule.say(entry.at)}"


def wish_findings(receipt: Receipt, unproven: str) -> Iterator[Finding]:
    """Find a rollback or an adoption whose request is signed, and not for this, or not by whoever it names.

    ``unproven`` says why the signature is not good, or nothing where it is, or there is none.
    """
    request = receipt.request
    if request is None:
        return
    asked = (request.story, request.subject, request.actor, request.reason, request.signature)
    if asked != (receipt.story, receipt.subject, receipt.actor, receipt.reason, receipt.signed):
        yield _found(receipt, "the request in it is for something else")
    elif request.of not in {None, receipt.of}:
        yield _found(receipt, f"it was asked for of turn {request.of}, and is about turn {receipt.of}")
    elif request.signature and unproven:
        yield _found(receipt, f"nothing proves that {request.actor.name} asked for it: {unproven}")


def skip_findings(receipt: Receipt, unproven: Mapping[int, str]) -> Iterator[Finding]:
    """Find something that was left undone where nobody is proven to have said so, and somebody had to be.

    ``unproven`` says of each word, by its place, why its signature is not good.
    """
    said = [_why_no_skip(receipt, word, unproven.get(place, "")) for place, word in enumerate(receipt.words)]
    is_known = bool(receipt.let_in and receipt.let_in.policy.signed)
    if receipt.healthy or "" in said or not (said or is_known):
        return
    yield _found(receipt, f"something was left undone, and {(said or ['nobody has said so'])[-1]}")


def _why_no_skip(receipt: Receipt, word: Saying, unproven: str) -> str:
    if not is_skip_of(word, receipt.subject, receipt.turn):
        return f"what {word.by} said was meant for {word.to}"
    return f"nothing proves that {word.by} said so: {unproven}" if word.signed and unproven else ""


def _found(receipt: Receipt, what: str) -> Finding:
    return Finding(subject=receipt.subject, turn=receipt.turn, what=what)
