import base64
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.actor import Actor, Channel, Proof
from domain.approval import (
    Decision,
    DecisionWord,
    Party,
    Policy,
    Quorum,
    Requester,
    Standing,
    Verdict,
    counting,
    has_lapsed,
    standing,
    why_not_counted,
    why_posed,
)
from domain.attempt import Kind
from domain.key import key_of
from domain.signature import Signature
from domain.value import short
from domain.windows import Schedule, Window
from tests.domain.strategies import NOON, digest
from tests.people import needs_openssh, ssh_keygen

PLAN, OTHER = digest("plan"), digest("other plan")
REQUESTER = Requester("Ana")
TYPED = {"ana": ["ana", "Ana", " ANA "], "bo": ["bo", "BO "], "cy": ["cy"], "eve": ["eve"]}
policies = st.builds(
    Policy,
    quorum=st.integers(0, 3),
    approvers=st.sampled_from([("ana", "bo", "cy"), ("Bo", "cy"), ("ANA",), ()]),
    valid=st.just(timedelta(hours=1)),
    also=st.lists(
        st.builds(
            Quorum, quorum=st.integers(1, 2), approvers=st.sampled_from([("eve",), ("cy ", "EVE", "ana"), ()])
        ),
        max_size=2,
    ).map(tuple),
    separate=st.lists(st.sampled_from(Party), unique=True).map(tuple),
    author=st.sampled_from(["", "Bo "]),
)
people = st.sampled_from([*TYPED])
votes = st.lists(st.tuples(people, st.integers(0, 2), st.sampled_from(Verdict), st.booleans()), max_size=6)


def cast(votes: list[tuple[str, int, Verdict, bool]]) -> list[Decision]:
    """One decision a minute, by people who type their names as they please."""
    return [
        Decision(
            actor=Actor(name=TYPED[who][how % len(TYPED[who])], channel=Channel.SIGNAL),
            verdict=verdict,
            intent=PLAN if here else OTHER,
            at=NOON + timedelta(minutes=minute),
        )
        for minute, (who, how, verdict, here) in enumerate(votes)
    ]


def latest(
    policy: Policy, votes: list[tuple[str, int, Verdict, bool]]
) -> dict[str, tuple[Verdict, datetime]]:
    """Each approver's last word on this plan, aside of those who are kept apart."""
    names = [*policy.approvers, *(name for one in policy.also for name in one.approvers)]
    allowed = {name.strip().lower() for name in names}
    if Party.REQUESTER in policy.separate:
        allowed -= {"ana"}
    if Party.AUTHOR in policy.separate:
        allowed -= {policy.author.strip().lower()}
    return {
        who: (verdict, NOON + timedelta(minutes=minute))
        for minute, (who, _, verdict, here) in enumerate(votes)
        if here and who in allowed
    }


def completed(policy: Policy, votes: list[tuple[str, int, Verdict, bool]]) -> list[datetime | None]:
    """When each quorum that is asked for was complete; None where it is not."""
    words = latest(policy, votes)
    complete: list[datetime | None] = []
    for quorum, named in [
        (policy.quorum, policy.approvers),
        *((one.quorum, one.approvers) for one in policy.also),
    ]:
        of = {name.strip().lower() for name in named}
        times = sorted(at for who, (_, at) in words.items() if who in of)
        if quorum:
            complete.append(times[quorum - 1] if quorum <= len(times) else None)
    return complete


@given(policy=policies, votes=votes)
def test_a_gate_opens_exactly_when_enough_others_approve_and_nobody_rejects(
    policy: Policy, votes: list[tuple[str, int, Verdict, bool]]
) -> None:
    """Enough in every quorum. Doubled votes, strangers', those of who is kept apart and on other plans add nothing."""
    words = [verdict for verdict, _ in latest(policy, votes).values()]
    expected = Standing.GRANTED if all(completed(policy, votes)) else Standing.PENDING
    if Verdict.REJECT in words:
        expected = Standing.REJECTED

    assert standing(policy, REQUESTER, PLAN, cast(votes)) is expected


@given(policy=policies, votes=votes)
def test_one_decision_counts_for_each_approver(
    policy: Policy, votes: list[tuple[str, int, Verdict, bool]]
) -> None:
    """The audit shows exactly the decisions that opened or shut the gate."""
    counted = counting(policy, REQUESTER, PLAN, cast(votes))

    assert {(vote.actor.name.strip().lower(), vote.verdict, vote.at) for vote in counted} == {
        (who, *word) for who, word in latest(policy, votes).items()
    }
    assert len(counted) == len(latest(policy, votes))


@given(policy=policies, votes=votes, proven=st.lists(st.booleans(), min_size=6, max_size=6), data=st.data())
def test_where_decisions_are_signed_only_proven_ones_count_in_the_order_they_were_signed(
    policy: Policy, votes: list[tuple[str, int, Verdict, bool]], proven: list[bool], data: st.DataObject
) -> None:
    """Whoever adds unproven ones, or presents proven ones in another order, changes nothing."""
    decisions = [
        decision.but(
            actor=decision.actor.but(proof=Proof.SSH_SIGNATURE if good else Proof.NONE),
            signature=Signature(at=at, expires=at, ssh=""),
        )
        for decision, good in zip(cast(votes), proven, strict=False)
        for at in (NOON + (decision.at - NOON) * 6,)  # farther than clocks are apart
    ]
    presented = data.draw(st.permutations(decisions))
    good = [vote for vote, is_good in zip(cast(votes), proven, strict=False) if is_good]

    signed = standing(policy.but(signed=True), REQUESTER, PLAN, presented)

    assert signed is standing(policy, REQUESTER, PLAN, good)


@pytest.mark.parametrize(("ahead", "stands"), [(5, Standing.REJECTED), (6, Standing.GRANTED)])
def test_where_clocks_leave_open_what_was_signed_last_it_was_the_rejection(
    ahead: int, stands: Standing
) -> None:
    """Somebody approves by a clock that runs ahead, and rejects by one that does not; so may others' clocks be."""
    policy = Policy(quorum=1, approvers=("bo",), valid=timedelta(hours=1), signed=True)
    dated = {Verdict.APPROVE: NOON + timedelta(minutes=ahead), Verdict.REJECT: NOON}
    signed = [
        Decision(
            actor=Actor(name="bo", proof=Proof.SSH_SIGNATURE),
            verdict=verdict,
            intent=PLAN,
            at=NOON,
            signature=Signature(at=at, expires=at, ssh=""),
        )
        for verdict, at in dated.items()
    ]

    assert {standing(policy, REQUESTER, PLAN, order) for order in (signed, signed[::-1])} == {stands}


def test_an_approver_who_types_their_name_in_two_ways_is_one_approver() -> None:
    """Two approvals by one person are not two approvers."""
    policy = Policy(quorum=2, approvers=("bo", "cy"), valid=timedelta(hours=1))
    twice = cast([("bo", 0, Verdict.APPROVE, True), ("bo", 1, Verdict.APPROVE, True)])

    assert standing(policy, REQUESTER, PLAN, twice) is Standing.PENDING


@given(policy=policies, votes=votes, off=st.integers(-1, 1))
def test_a_grant_lapses_exactly_when_its_quorum_is_older_than_valid(
    policy: Policy, votes: list[tuple[str, int, Verdict, bool]], off: int
) -> None:
    """To the microsecond, from the moment at which enough had approved."""
    times = completed(policy, votes)
    is_complete = bool(times) and all(times)
    complete = max((at for at in times if at), default=NOON)
    now = complete + policy.valid + timedelta(microseconds=off)

    assert has_lapsed(policy, REQUESTER, PLAN, cast(votes), now) == (is_complete and off > 0)


@pytest.mark.parametrize(("approved", "lapses"), [("08:00", "16:00"), ("15:59", "16:59"), ("17:00", "16:00")])
def test_a_grant_outlives_the_next_window(approved: str, lapses: str) -> None:
    """However short it is valid: to the end of the window that is open, or of the one that opens next."""
    window = Window.model_validate({"from": "09:00", "to": "16:00", "zone": "UTC"})
    policy = Policy(
        quorum=1, approvers=("bo",), valid=timedelta(hours=1), windows=Schedule(windows=((window,),))
    )
    at = NOON.replace(hour=int(approved[:2]), minute=int(approved[3:]))
    end = NOON.replace(hour=int(lapses[:2]), minute=int(lapses[3:])) + timedelta(days=approved > lapses)
    grant = [Decision(actor=Actor(name="bo"), verdict=Verdict.APPROVE, intent=PLAN, at=at)]

    assert not has_lapsed(policy, REQUESTER, PLAN, grant, end)
    assert has_lapsed(policy, REQUESTER, PLAN, grant, end + timedelta(microseconds=1))


@given(
    policy=policies,
    who=people,
    how=st.integers(0, 2),
    plan=st.sampled_from(
        ["", PLAN, PLAN[:15], PLAN[7:15].upper(), PLAN[7:14], OTHER, OTHER[7:15], "everything"]
    ),
    verdict=st.sampled_from(Verdict),
)
def test_an_answer_is_refused_in_words_exactly_when_it_would_not_count(
    policy: Policy, who: str, how: int, plan: str, verdict: Verdict
) -> None:
    """Nobody is told “recorded” whose word counts for nothing, nor turned away whose word counts."""
    answer = DecisionWord(by=TYPED[who][how % len(TYPED[who])], plan=plan)
    names_this = plan in {PLAN, PLAN[:15], PLAN[7:15].upper()}
    decision = Decision(
        actor=Actor(name=answer.by), verdict=verdict, intent=PLAN if names_this else OTHER, at=NOON
    )

    why = why_not_counted(policy, REQUESTER, answer, PLAN)

    assert (why == "") == bool(counting(policy, REQUESTER, PLAN, [decision]))


@pytest.mark.parametrize(
    ("by", "plan", "why"),
    [
        ("bo", "", f"a decision names the plan it is about; add “plan”: “{PLAN[7:15]}”"),
        ("bo", "12345678", f"it names plan “12345678”, but {PLAN[7:15]} is the one that waits"),
        ("ANA", PLAN, "ANA asked for this promotion, and nobody decides on their own request"),
        ("eve", PLAN, "eve is not an approver here; the approvers are: ana, bo"),
    ],
)
def test_a_refusal_says_what_to_do_instead(by: str, plan: str, why: str) -> None:
    """The sentence is for the one who typed it."""
    policy = Policy(quorum=1, approvers=("ana", "bo"), valid=timedelta(hours=1))

    assert why_not_counted(policy, REQUESTER, DecisionWord(by=by, plan=plan), PLAN).startswith(why)


def test_a_plan_waits_for_every_quorum_by_name() -> None:
    """Whoever is in two groups is one of each; the first complete quorum is not enough."""
    security = Quorum(quorum=1, approvers=("eve", "bo"))
    policy = Policy(quorum=2, approvers=("bo", "cy"), valid=timedelta(hours=1), also=(security,))
    bo, cy = ("bo", 0, Verdict.APPROVE, True), ("cy", 0, Verdict.APPROVE, True)

    assert str(policy) == "2 of: bo, cy; and 1 of: eve, bo"
    assert policy.people == ("bo", "cy", "eve")
    assert standing(policy, REQUESTER, PLAN, cast([bo])) is Standing.PENDING
    assert standing(policy, REQUESTER, PLAN, cast([bo, cy])) is Standing.GRANTED


def test_an_author_is_told_why_their_word_does_not_count() -> None:
    """The rule is named, and only where it holds."""
    policy = Policy(quorum=1, approvers=("bo",), valid=timedelta(hours=1), author="Bo")
    answer = DecisionWord(by="bo", plan=PLAN)

    assert why_not_counted(policy, REQUESTER, answer, PLAN) == ""
    apart = policy.but(separate=(Party.AUTHOR,))
    assert why_not_counted(apart, REQUESTER, answer, PLAN).startswith("bo made this release, and nobody")


@needs_openssh
def test_an_author_does_not_decide_by_another_name_of_theirs(tmp_path: Path) -> None:
    """A release is signed by a key, and so is a decision: it is one person, and that is told."""
    ssh_keygen("-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "bo"))
    ssh = _signed(tmp_path / "bo")
    policy = Policy(
        quorum=1,
        approvers=("bo",),
        valid=timedelta(hours=1),
        signed=True,
        separate=(Party.AUTHOR,),
        author="ci",
        author_key=key_of(ssh),
    )
    answer = DecisionWord(by="bo", plan=PLAN, signed=Signature(at=NOON, expires=NOON, ssh=ssh))

    assert why_not_counted(policy, REQUESTER, answer, PLAN).startswith("ci made this release, and nobody")
    assert why_posed(policy, REQUESTER, answer) is Kind.POSING
    assert why_posed(policy, REQUESTER, answer.but(by="ci")) is None
    assert why_not_counted(policy.but(separate=()), REQUESTER, answer, PLAN) == ""


def test_where_nobody_may_approve_the_refusal_says_so() -> None:
    """An empty group is a finding for whoever configures it."""
    policy = Policy(quorum=1, approvers=(), valid=timedelta(hours=1))

    assert why_not_counted(policy, REQUESTER, DecisionWord(by="bo", plan=PLAN), PLAN).endswith(
        "approvers are: nobody"
    )


@pytest.mark.parametrize(
    "kind", [("-t", "ed25519"), ("-t", "rsa", "-b", "2048"), ("-t", "ecdsa")], ids=lambda kind: kind[1]
)
@needs_openssh
def test_a_key_is_told_with_a_certificate_as_without(tmp_path: Path, kind: tuple[str, ...]) -> None:
    """Whoever has their key certified under another name has no second voice by that."""
    for name in ("ca", "ana", "bo"):
        ssh_keygen("-q", *kind, "-N", "", "-f", str(tmp_path / name))
    plain, other = (key_of(_signed(tmp_path / name)) for name in ("ana", "bo"))
    ssh_keygen("-q", "-s", str(tmp_path / "ca"), "-I", "x", "-n", "ana2", str(tmp_path / "ana.pub"))

    certified = _signed(tmp_path / "ana-cert.pub")

    assert "-cert-v01@openssh.com" in str(base64.b64decode("".join(certified.splitlines()[1:-1])))
    assert key_of(certified) == key_of(certified.replace("\n", "\r\n")) == plain
    assert other not in {plain, ""}


def _signed(key: Path) -> str:
    text = key.with_suffix(".txt")
    text.write_text("yes")
    ssh_keygen("-q", "-Y", "sign", "-n", "decision@towpath", "-f", str(key), str(text))
    signature = text.with_suffix(".txt.sig")
    said = signature.read_text()
    signature.unlink()
    return said


@pytest.mark.parametrize(
    "text", ["", "ssh", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----"]
)
def test_what_is_no_signature_has_no_key(text: str) -> None:
    """It is not an error either: whoever checks it refuses it in words."""
    assert not key_of(text)


def test_too_few_digits_of_the_right_plan_are_said_to_be_too_few() -> None:
    """It was “another plan that waits”, with the same digits."""
    policy = Policy(quorum=1, approvers=("bo",), valid=timedelta(hours=1))
    few, others = (DecisionWord(by="bo", plan=plan) for plan in (short(PLAN)[:-1], "0000000"))

    assert why_not_counted(policy, REQUESTER, few, PLAN).startswith(
        f"“{short(PLAN)[:-1]}” is too short for a plan"
    )
    assert why_not_counted(policy, REQUESTER, others, PLAN).startswith("it names plan “0000000”")
