"""Whether enough of the right people said yes."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, NamedTuple

from pydantic import Field, StringConstraints

from domain.actor import Actor, PersonName, Proof, person
from domain.attempt import Kind
from domain.signature import AHEAD, Signature
from domain.value import Digest, Value, names_digest, short
from domain.windows import Schedule

UNSIGNED: Final = (
    "decisions here are signed, and this one is not; `towpath approve --key FILE` signs it, and with "
    "--print writes it out for other ways to send it"
)


class Verdict(StrEnum):
    APPROVE = "approve"
    REJECT = "reject"


class DecisionWord(Value):
    """What a person writes at the door, for ``approve`` and ``reject``."""

    by: PersonName
    comment: Annotated[str, Field(max_length=2000)] = ""
    plan: Annotated[str, StringConstraints(max_length=80)] = ""
    signed: Signature | None = None
    """By the person's own key, over the whole decision; ``towpath approve --print`` writes it."""


class DecideWord(DecisionWord):
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


class Party(StrEnum):
    """Somebody with a part in a promotion, who may be kept from deciding on it."""

    REQUESTER = "requester"
    AUTHOR = "author"
    """Whoever made the release, by its own word."""


class Quorum(Value):
    """So many of these people."""

    quorum: int
    approvers: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.quorum} of: {', '.join(self.approvers) or 'nobody, since its groups are empty'}"


class Policy(Quorum):
    """Who decides now: the live members of the groups, how many are needed, and how long a grant lives.

    Where it is ``signed``, a decision counts only where its signature was found good. A grant outlives the next of
    its ``windows`` in any case.
    """

    valid: timedelta
    signed: bool = False
    windows: Schedule = Schedule()
    also: tuple[Quorum, ...] = ()
    """Further quorums, each of which is to be had as well. One person counts once in each that names them."""
    separate: tuple[Party, ...] = (Party.REQUESTER,)
    """Whose own decisions do not count."""
    author: str = ""
    """Who made the release at hand, as it says itself; empty where it does not say."""
    author_key: str = ""
    """The key that the release at hand is signed with, where that can be read."""

    @property
    def quorums(self) -> tuple[Quorum, ...]:
        """Return every quorum that is asked for."""
        return tuple(one for one in (self, *self.also) if one.quorum)

    @property
    def people(self) -> tuple[str, ...]:
        """Return everybody who may decide, each once, as they are written first."""
        named: dict[str, str] = {}
        for one in (self, *self.also):
            for name in one.approvers:
                named.setdefault(person(name), name)
        return tuple(named.values())

    def __str__(self) -> str:
        return say_quorums(self.quorums)

    def why_apart(self, name: str, requester: Requester, signed: Signature | None = None) -> str:
        """Say why this person is kept from deciding, or nothing where they are not. A key tells whatever the name."""
        key = signed.key if signed else ""
        is_themselves = person(name) == person(requester.name)
        if Party.REQUESTER in self.separate and (is_themselves or (key and key == requester.key)):
            who = name if is_themselves else requester.name
            return f"{who} asked for this promotion, and nobody decides on their own request"
        is_theirs = bool(self.author) and person(name) == person(self.author)
        if Party.AUTHOR in self.separate and (is_theirs or (key and key == self.author_key)):
            who = name if is_theirs else self.author
            return f"{who} made this release, and nobody decides here on a release of their own"
        return ""


def say_quorums(quorums: Iterable[Quorum]) -> str:
    """Say in words what all has to be had."""
    return "; and ".join(Quorum.__str__(one) for one in quorums)


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
    """Return the decisions that count: each approver's latest on this intent, never of who is kept apart.

    Signed ones are in the order in which they were signed: whoever presents an older one again changes nothing.
    One key has one voice, whatever names it has, and none where the request was signed with it.
    """
    allowed = {person(name) for name in policy.people}
    latest = {
        person(decision.actor.name): decision
        for decision in (_as_signed(decisions) if policy.signed else decisions)
        if decision.intent == intent
        and person(decision.actor.name) in allowed
        and not policy.why_apart(decision.actor.name, requester, decision.signature)
    }
    return _one_voice_a_key(latest.values()) if policy.signed else tuple(latest.values())


def _one_voice_a_key(votes: Iterable[Decision]) -> tuple[Decision, ...]:
    """Keep of each key the vote that was signed last; a rejection stays, by whichever name it was said."""
    heard: dict[str, Decision] = {}
    for vote in votes:
        key = (vote.signature.key if vote.signature else "") or person(vote.actor.name)
        before = heard.get(key)
        if before is None or before.verdict is Verdict.APPROVE:
            heard[key] = vote
    return tuple(heard.values())


def _as_signed(decisions: Iterable[Decision]) -> list[Decision]:
    """Return the proven decisions, oldest signature first, at the time that their signers wrote.

    Clocks may be apart by ``AHEAD``: where that leaves open which was signed last, it was the rejection.
    """
    proven = [
        decision.but(at=decision.signature.at)
        for decision in decisions
        if decision.is_proven and decision.signature
    ]
    return sorted(proven, key=_rank)


def _rank(decision: Decision) -> tuple[datetime, bool]:
    rejects = decision.verdict is Verdict.REJECT
    return decision.at + (AHEAD if rejects else timedelta()), rejects


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
    complete = all(len(_of(one, votes)) >= one.quorum for one in policy.quorums)
    return Standing.GRANTED if complete else Standing.PENDING


def _of(quorum: Quorum, votes: Iterable[Decision]) -> list[Decision]:
    """Return the decisions of this quorum's people."""
    allowed = {person(name) for name in quorum.approvers}
    return [vote for vote in votes if person(vote.actor.name) in allowed]


def has_lapsed(
    policy: Policy,
    requester: Requester,
    intent: Digest,
    decisions: Sequence[Decision],
    now: datetime,
) -> bool:
    """Tell whether a granted approval is too old: its last quorum was complete longer than ``valid`` ago.

    Where there are windows, the next one after that must have closed, too. Whoever joins a complete quorum does not
    make it younger; whoever of it approves again does.
    """
    votes = counting(policy, requester, intent, decisions)
    complete: list[datetime] = []
    for one in policy.quorums:
        times = sorted(vote.at for vote in _of(one, votes))
        if len(times) < one.quorum:
            return False
        complete.append(times[one.quorum - 1])
    if not complete:
        return False
    ends = max(complete) + policy.valid
    return now > max(ends, policy.windows.closes(max(complete)) or ends)


def why_posed(policy: Policy, requester: Requester, answer: DecisionWord) -> Kind | None:
    """Tell of what kind an answer is that nobody honest gives in their own name; None where it may be a mistake."""
    if policy.signed and answer.signed is None:
        return Kind.UNSIGNED
    key = answer.signed.key if answer.signed else ""
    parts = (
        (Party.REQUESTER, requester.name, requester.key),
        (Party.AUTHOR, policy.author, policy.author_key),
    )
    poses = any(
        key and key == its and part in policy.separate and person(answer.by) != person(name)
        for part, name, its in parts
    )
    return Kind.POSING if poses else None


def _why_another(plan: str, intent: Digest) -> str:
    waiting = short(intent)
    if not plan:
        return (
            f"a decision names the plan it is about; add “plan”: “{waiting}” if that is the one you have read"
        )
    if len(plan) < len(waiting) and waiting.startswith(plan.lower()):
        return f"“{plan}” is too short for a plan: write its first {len(waiting)} digits, {waiting}"
    if not names_digest(plan, intent):
        return f"it names plan “{plan}”, but {waiting} is the one that waits; read it and decide again"
    return ""


def why_not_counted(policy: Policy, requester: Requester, answer: DecisionWord, intent: Digest) -> str:
    """Say in a sentence why this answer would not count, or nothing where it would."""
    if why := _why_another(answer.plan, intent):
        return why
    if policy.signed and answer.signed is None:
        return UNSIGNED
    if why := policy.why_apart(answer.by, requester, answer.signed):
        return why
    if person(answer.by) not in {person(name) for name in policy.people}:
        who = ", ".join(policy.people) or "nobody"
        return f"{answer.by} is not an approver here; the approvers are: {who}"
    return ""
