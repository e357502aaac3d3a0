"""Whether enough of the right people said yes."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, NamedTuple

from pydantic import Field, StringConstraints

from domain.actor import Actor, PersonName, Proof, person
from domain.signature import Signature
from domain.value import Digest, Value, names_digest, short
from domain.windows import Schedule


class Verdict(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


class Answer(Value):
    """What a person writes at the door, for ``approve`` and ``reject``."""

    by: PersonName
    comment: Annotated[str, Field(max_length=2000)] = ""
    plan: Annotated[str, StringConstraints(max_length=80)] = ""
    signed: Signature | None = None
    """By the person's own key, over the whole decision; ``towpath approve --print`` writes it."""


class DecideAnswer(Answer):
    """What a person writes for the update ``decide``."""

    decision: Verdict


class Decision(Value):
    """A verdict by an actor on one intent, at a time that the promotion stamped."""

    actor: Actor
    verdict: Verdict
    intent: Digest
    at: datetime
    comment: str = ""
    signature: Signature | None = None

    @property
    def is_proven(self) -> bool:
        """Tell whether somebody who checked the signature found it good. Only one's own check is to be believed."""
        return self.actor.proof is Proof.SSH_SIGNATURE


class Requester(NamedTuple):
    """Who asked, and by which key, where the request is signed."""

    name: str
    key: str = ""

    def is_behind(self, answer: Answer) -> bool:
        """Tell whether it is the requester who answers, by whatever name."""
        key = answer.signed.key if answer.signed else ""
        return person(answer.by) == person(self.name) or bool(key and key == self.key)


class Policy(Value):
    """Who decides now: the live members of the groups, how many are needed, and how long a grant lives.

    Where it is ``signed``, a decision counts only where its signature was found good. A grant outlives the next of
    its ``windows`` in any case.
    """

    quorum: int
    approvers: tuple[str, ...]
    valid: timedelta
    signed: bool = False
    windows: Schedule = Schedule()


class Standing(StrEnum):
    PENDING = "pending"
    GRANTED = "granted"
    REJECTED = "rejected"


def counting(
    policy: Policy,
    requester: Requester,
    intent: Digest,
    decisions: Iterable[Decision],
) -> tuple[Decision, ...]:
    """Return the decisions that count: each approver's latest on this intent, never the requester's own.

    Signed ones are in the order in which they were signed: whoever presents an older one again changes nothing.
    One key has one voice, whatever names it has, and none where the request was signed with it.
    """
    allowed = {person(name) for name in policy.approvers}
    latest = {
        person(decision.actor.name): decision
        for decision in (_as_signed(decisions) if policy.signed else decisions)
        if decision.intent == intent
        and person(decision.actor.name) in allowed
        and person(decision.actor.name) != person(requester.name)
    }
    return _one_voice_a_key(latest.values(), requester.key) if policy.signed else tuple(latest.values())


def _one_voice_a_key(votes: Iterable[Decision], own: str) -> tuple[Decision, ...]:
    """Keep of each key the vote that was signed last; a rejection stays, by whichever name it was said."""
    heard: dict[str, Decision] = {}
    for vote in votes:
        key = (vote.signature.key if vote.signature else "") or person(vote.actor.name)
        before = heard.get(key)
        if before is None or before.verdict is Verdict.APPROVE:
            heard[key] = vote
    return tuple(vote for key, vote in heard.items() if key != own)


def _as_signed(decisions: Iterable[Decision]) -> list[Decision]:
    """Return the proven decisions, oldest signature first, at the time that their signers wrote."""
    proven = [
        decision.but(at=decision.signature.at)
        for decision in decisions
        if decision.is_proven and decision.signature
    ]
    return sorted(proven, key=lambda decision: decision.at)


def standing(
    policy: Policy,
    requester: Requester,
    intent: Digest,
    decisions: Sequence[Decision],
) -> Standing:
    """Tell where a gate stands, given every decision so far, oldest first. One rejection refuses."""
    votes = counting(policy, requester, intent, decisions)
    if any(vote.verdict is Verdict.REJECT for vote in votes):
        return Standing.REJECTED
    return Standing.GRANTED if len(votes) >= policy.quorum else Standing.PENDING


def has_lapsed(
    policy: Policy,
    requester: Requester,
    intent: Digest,
    decisions: Sequence[Decision],
    now: datetime,
) -> bool:
    """Tell whether a granted approval is too old: its quorum was complete longer than ``valid`` ago.

    Where there are windows, the next one after that must have closed, too. Whoever joins a complete quorum does not
    make it younger; whoever of it approves again does.
    """
    times = sorted(vote.at for vote in counting(policy, requester, intent, decisions))
    if not 0 < policy.quorum <= len(times):
        return False
    complete = times[policy.quorum - 1]
    ends = complete + policy.valid
    return now > max(ends, policy.windows.closes(complete) or ends)


def why_not_counted(policy: Policy, requester: Requester, answer: Answer, intent: Digest) -> str:
    """Say in a sentence why this answer would not count, or nothing where it would."""
    waiting = short(intent)
    if not answer.plan:
        return (
            f"a decision names the plan it is about; add “plan”: “{waiting}” if that is the one you have read"
        )
    if not names_digest(answer.plan, intent):
        return f"it names plan “{answer.plan}”, but {waiting} is the one that waits; read it and decide again"
    if policy.signed and answer.signed is None:
        return (
            "decisions here are signed, and this one is not; `towpath approve --key FILE` signs it, and with "
            "--print writes it out for other ways to send it"
        )
    if requester.is_behind(answer):
        return f"{requester.name} asked for this promotion, and nobody decides on their own request"
    if person(answer.by) not in {person(name) for name in policy.approvers}:
        who = ", ".join(policy.approvers) or "nobody"
        return f"{answer.by} is not an approver here; the approvers are: {who}"
    return ""
