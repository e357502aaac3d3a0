"""A proposal read as a validation: one case for each thing that was looked at, and whether it stands in the way."""

from domain.rule import Weight, refusals
from domain.terms import Proposal
from domain.value import Value


class ValidationCase(Value):
    """One thing that was looked at."""

    name: str
    rule: str
    severity: Weight
    passed: bool
    sentence: str
    output: str = ""

    @property
    def blocks(self) -> bool:
        return not self.passed and self.severity is Weight.BLOCK


DRAWING_UP = "plan"
"""What a plan cannot be drawn up without: the release whole in the store, its way here, its targets."""


def cases(proposal: Proposal) -> tuple[ValidationCase, ...]:
    """Return every case, in the order that they were looked at. There is always one, so that a report has one."""
    ruled = set(refusals(proposal.rulings))
    others = [why for why in proposal.refusals if why not in ruled]
    planned = [
        ValidationCase(name=DRAWING_UP, rule=DRAWING_UP, severity=Weight.BLOCK, passed=False, sentence=why)
        for why in others
    ] or [
        ValidationCase(
            name=DRAWING_UP,
            rule=DRAWING_UP,
            severity=Weight.BLOCK,
            passed=True,
            sentence=proposal.nothing_to_do
            or "the release is whole, came by the environments before, and has a target for each component",
        )
    ]
    judged = [
        ValidationCase(
            name=one.name,
            rule=one.rule,
            severity=one.severity,
            passed=one.passed,
            sentence=f"{one.sentence}; {one.remedy}" if one.remedy else one.sentence,
            output=one.output,
        )
        for one in proposal.rulings
    ]
    return (*planned, *judged)


class Validation(Value):
    """What validating a release came to: what ``towpath validate --json`` prints."""

    service: str
    version: str
    environment: str
    passed: bool
    intent: str
    risk: str = ""
    nothing_to_do: str = ""
    cases: tuple[ValidationCase, ...]


def validation(proposal: Proposal) -> Validation:
    return Validation(
        service=proposal.plan.subject.service,
        version=proposal.request.version or "",
        environment=proposal.plan.subject.environment,
        passed=not proposal.refusals,
        intent=proposal.plan.intent,
        risk=proposal.risk.level if proposal.risk else "",
        nothing_to_do=proposal.nothing_to_do,
        cases=cases(proposal),
    )
