"""Who is asked as well, once nobody has decided for a while."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.approval import Policy, Standing, standing
from domain.approval_written import Approval, Hotfix, PivotApproval
from domain.configuration import Configuration
from domain.configuration_files import EnvironmentFile, Organisation, ServiceEnvironment, ServiceFile
from domain.names import Subject
from domain.notice import Event
from domain.noticing import of_promotion
from domain.outcome import Phase
from domain.status import PromotionStatus
from domain.telling import say_later
from domain.terms import ApprovalTerms, EscalationTerms
from domain.urgency import Urgency
from tests.domain.strategies import NOON
from tests.domain.test_approval import PLAN, REQUESTER, cast, votes
from tests.domain.test_clearance import PROPOSAL

HOUR = timedelta(hours=1)
SUBJECT = Subject(service="shop", environment="production")
LEADS = EscalationTerms(after=4 * HOUR, groups=("leads",), approvers=("cy",))
HEAD = EscalationTerms(after=8 * HOUR, groups=("head",), approvers=("eve", "CY"))
TERMS = ApprovalTerms(quorum=2, groups=("managers",), approvers=("bo",), escalate=(LEADS, HEAD))


@given(votes, st.integers(0, 12))
def test_who_is_asked_later_counts_from_then_on_and_not_before(
    cast_votes: list[tuple[str, int, object, bool]], waited: int
) -> None:
    """At each moment a plan stands where it would if whoever is asked by then had been asked from the beginning."""
    asked = ["bo", *(["cy"] if waited >= 4 else []), *(["eve"] if waited >= 8 else [])]
    decisions = cast(cast_votes)  # type: ignore[arg-type]
    plain = Policy(quorum=2, approvers=tuple(asked), valid=TERMS.valid)

    found = standing(TERMS.escalated(TERMS.due(waited * HOUR)).policy(None), REQUESTER, PLAN, decisions)

    assert found is standing(plain, REQUESTER, PLAN, decisions)
    if found is Standing.GRANTED:
        assert waited >= 4


def test_an_escalation_asks_for_no_more_and_names_each_person_once() -> None:
    """What is still to come is said with its time."""
    proposal = PROPOSAL.but(terms=PROPOSAL.terms.but(approval=TERMS))

    assert str(TERMS.escalated(2)) == "2 of: bo, cy, eve"
    assert say_later(proposal, 0) == [
        "from 2026-01-05 16:00 UTC also: leads (cy)",
        "from 2026-01-05 20:00 UTC also: head (eve, CY)",
    ]
    assert say_later(proposal, 2) == []


def test_each_escalation_is_told_once_when_it_is_due() -> None:
    """And reminders name whoever may decide by then."""
    proposal = PROPOSAL.but(terms=PROPOSAL.terms.but(approval=TERMS))
    status = PromotionStatus(
        subject=SUBJECT,
        version="2.0",
        phase=Phase.WAITING_FOR_APPROVAL,
        since=NOON,
        proposal=proposal,
        intent=proposal.plan.intent,
    )

    told = {
        hours: [
            one
            for one in of_promotion(status, "run", NOON + hours * HOUR, 6 * HOUR)
            if one.event is Event.ESCALATED
        ]
        for hours in (3, 4, 9)
    }

    assert [len(notices) for notices in told.values()] == [0, 1, 2]
    assert told[9][0].key == told[4][0].key
    assert "leads (cy) may decide too" in told[4][0].title
    assert "It takes 2 of: bo, cy, eve." in told[9][0].text


def test_whoever_is_asked_for_a_hotfix_reads_that_it_is_one() -> None:
    """Of the usual way nothing is said."""
    status = PromotionStatus(
        subject=SUBJECT,
        version="2.0",
        phase=Phase.WAITING_FOR_APPROVAL,
        since=NOON,
        intent=PROPOSAL.plan.intent,
    )

    def told(urgency: Urgency) -> str:
        proposal = PROPOSAL.but(request=PROPOSAL.request.but(urgency=urgency))
        (notice,) = of_promotion(status.but(proposal=proposal), "run", NOON, HOUR)
        return notice.text

    assert " asks for 2.0 of shop in production, as a hotfix.\n" in told(Urgency.HOTFIX)
    assert " asks for 2.0 of shop in production.\n" in told(Urgency.USUAL)


def configured(floor: str, asked: str = "") -> Configuration:
    def written(escalate: str) -> Approval:
        pairs = [pair.split(":") for pair in escalate.split()]
        content = [{"after": after, "to": [group]} for after, group in pairs]
        return Approval.model_validate({"from": ["managers"], "escalate": content})

    place = ServiceEnvironment(approval=written(asked) if asked else None)
    return Configuration(
        organisation=Organisation(groups={"managers": ("bo", "di"), "leads": ("cy",), "some": ("di", "eve")}),
        environments={"production": EnvironmentFile(environment="production", approval=written(floor))},
        services={
            "shop": ServiceFile.model_construct(
                service="shop", components={}, environments={"production": place}
            )
        },
    )


def test_a_service_adds_only_people_whom_its_environment_lets_approve() -> None:
    """Soonest first, whoever wrote it."""
    terms = configured("8h:leads", "4h:some").approval(SUBJECT)

    assert [(one.after, one.approvers) for one in terms.escalate] == [
        (4 * HOUR, ("di",)),
        (8 * HOUR, ("cy",)),
    ]


def test_neither_pivots_of_other_people_nor_hotfixes_take_over_the_usual_escalation() -> None:
    """Who is named for those is named on purpose; a hotfix may have an escalation of its own."""
    usual = configured("4h:leads")
    floor = usual.environments["production"]
    own = {"from": ["managers"], "escalate": [{"after": "10m", "to": ["some"]}]}
    floor = floor.but(
        pivots=PivotApproval.model_validate({"from": ["some"]}), hotfix=Hotfix.model_validate(own)
    )
    changed = usual.but(environments={"production": floor})

    assert changed.approval(SUBJECT).escalate
    assert not changed.approval(SUBJECT, pivots=True).escalate
    assert not changed.approval(SUBJECT, urgency=Urgency.BREAK_GLASS).escalate
    (hotfix,) = changed.approval(SUBJECT, urgency=Urgency.HOTFIX).escalate
    assert hotfix.approvers == ("di", "eve")
