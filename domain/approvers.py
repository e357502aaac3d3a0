"""Who approves where: a service's word, tightened to its environment's floor; by risk, over pivots, in a hurry."""

from collections.abc import Iterable

from domain.actor import person
from domain.approval_written import Approval, Escalation, FurtherQuorum, Hotfix, PivotApproval, separate
from domain.configuration_files import EnvironmentFile
from domain.risk import Risk
from domain.roles import Level, Members, Role, keeps_out
from domain.terms import NOBODY_APPROVES, ApprovalTerms, EscalationTerms, QuorumTerms
from domain.urgency import Urgency


def usual_approval(
    floor: Approval | None, asked: Approval | None, members: Members, risk: Risk | None
) -> ApprovalTerms:
    """Return what approval takes at this risk: more people of the two, the shorter times, both further quorums."""
    floor, asked = (one.at(risk) if one else None for one in (floor, asked))
    given = [approval for approval in (floor, asked) if approval]
    usual = ApprovalTerms()
    if not given:
        return usual
    groups = next((approval.groups for approval in reversed(given) if approval.groups), ())
    return ApprovalTerms(
        quorum=max((one.quorum for one in given if one.quorum is not None), default=1),
        groups=groups,
        approvers=_allowed(members(groups), floor, members),
        wait=min((one.wait for one in given if one.wait is not None), default=usual.wait),
        valid=min((one.valid for one in given if one.valid is not None), default=usual.valid),
        signed=any(one.signed for one in given),
        also=tuple(_further(one, members) for approval in given for one in approval.also or ()),
        separate=separate(floor, asked),
        escalate=_escalations(floor, asked, members),
    )


def approval_by(
    usual: ApprovalTerms, floor: EnvironmentFile, members: Members, *, pivots: bool, urgency: Urgency
) -> ApprovalTerms:
    """Return what approval takes by this way: a hotfix as the environment says, over a broken glass nobody.

    A plan that holds ``pivots`` may take more: more people, or others.
    """
    match urgency:
        case Urgency.BREAK_GLASS:
            return usual.but(quorum=0, groups=(), approvers=(), also=(), escalate=())
        case Urgency.HOTFIX:
            usual = _shortened(usual, floor.hotfix, members) if floor.hotfix else NOBODY_APPROVES
        case Urgency.USUAL:
            pass
    return _over_pivots(usual, floor.pivots, members) if pivots and floor.pivots else usual


def with_the_role(terms: ApprovalTerms, levels: Iterable[Level], members: Members) -> ApprovalTerms:
    """Leave out whoever has not the role to approve there."""
    levels = tuple(levels)

    def having(people: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in people if not keeps_out(levels, Role.APPROVE, name, members))

    if not any(level.roles.approve for level in levels):
        return terms
    also = tuple(one.but(approvers=having(one.approvers)) for one in terms.also)
    escalate = tuple(one.but(approvers=having(one.approvers)) for one in terms.escalate)
    return terms.but(approvers=having(terms.approvers), also=also, escalate=escalate)


def _shortened(usual: ApprovalTerms, hotfix: Hotfix, members: Members) -> ApprovalTerms:
    found = (_escalation(one, members) for one in hotfix.escalate or ())
    return usual.but(
        quorum=min(usual.quorum, 1) if hotfix.quorum is None else hotfix.quorum,
        groups=hotfix.groups or usual.groups,
        approvers=members(hotfix.groups) if hotfix.groups else usual.approvers,
        wait=usual.wait if hotfix.wait is None else hotfix.wait,
        valid=usual.valid if hotfix.valid is None else hotfix.valid,
        also=tuple(_further(one, members) for one in hotfix.also or ()),
        escalate=tuple(sorted(found, key=lambda one: one.after)),
    )


def _over_pivots(usual: ApprovalTerms, pivots: PivotApproval, members: Members) -> ApprovalTerms:
    stricter = usual.but(quorum=max(usual.quorum, pivots.quorum))
    if not pivots.groups:
        return stricter
    return stricter.but(groups=pivots.groups, approvers=members(pivots.groups), escalate=())


def _escalations(
    floor: Approval | None, asked: Approval | None, members: Members
) -> tuple[EscalationTerms, ...]:
    """Return who is asked after a while, soonest first. Of a service's people only whom the floor lets approve."""
    found = [_escalation(one, members) for one in (floor.escalate if floor else None) or ()]
    for one in (asked.escalate if asked else None) or ():
        terms = _escalation(one, members)
        found.append(terms.but(approvers=_allowed(terms.approvers, floor, members)))
    return tuple(sorted(found, key=lambda one: one.after))


def _escalation(one: Escalation, members: Members) -> EscalationTerms:
    return EscalationTerms(after=one.after, groups=one.groups, approvers=members(one.groups))


def _further(one: FurtherQuorum, members: Members) -> QuorumTerms:
    return QuorumTerms(quorum=one.quorum, groups=one.groups, approvers=members(one.groups))


def _allowed(people: tuple[str, ...], floor: Approval | None, members: Members) -> tuple[str, ...]:
    """Leave out whoever the floor would not let approve, where it says who may."""
    if floor is None or not floor.groups:
        return people
    allowed = {person(name) for name in members(floor.groups)}
    return tuple(name for name in people if person(name) in allowed)
