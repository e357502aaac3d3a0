"""How much is at stake, and whom that makes approve."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.approval_written import Approval, ApprovalAtRisk
from domain.configuration import Configuration
from domain.configuration_files import EnvironmentFile, Organisation, ServiceEnvironment, ServiceFile
from domain.consistency import faults
from domain.environment import Absent, Holding, Placement
from domain.names import Subject
from domain.plan import Step, Undo, Verb
from domain.risk import Risk, RiskTable, highest, usual
from domain.terms import TargetTerms
from tests.domain.strategies import digest

OLD = Placement(version="1.0", release=digest("r1"), artifact=digest("one"))
NEW = Placement(version="2.0", release=digest("r2"), artifact=digest("two"))
SAME = NEW.but(artifact=OLD.artifact)
SUBJECT = Subject(service="shop", environment="production")
levels = st.none() | st.sampled_from(Risk)
quorums = st.none() | st.integers(0, 3)


def step(
    component: str = "site", before: Holding = OLD, after: Holding = NEW, undo: Undo = Undo.RESTORE
) -> Step:
    return Step(
        component=component,
        target="directory",
        verb=Verb.PLACE,
        before=before,
        after=after,
        undo=undo,
        fenced=True,
        repeatable=True,
    )


@pytest.mark.parametrize(
    ("steps", "level"),
    [
        ([step()], Risk.LOW),
        ([step(), step("api", OLD, SAME)], Risk.LOW),
        ([step(), step("api")], Risk.MEDIUM),
        ([step(before=Absent())], Risk.MEDIUM),
        ([step(undo=Undo.PIVOT)], Risk.HIGH),
        ([step(undo=Undo.PIVOT, after=SAME)], Risk.LOW),
        ([step(), step("db", Absent(), NEW, Undo.PIVOT)], Risk.HIGH),
    ],
)
def test_what_cannot_be_undone_is_most_at_stake(steps: list[Step], level: Risk) -> None:
    """A pivot is high; a first time, or several changes together, medium; what changes nothing counts nothing."""
    assert usual(steps).level is level


@pytest.mark.parametrize(
    ("high", "medium", "level"),
    [(True, True, Risk.HIGH), (False, True, Risk.MEDIUM), (False, False, Risk.LOW)],
)
def test_the_highest_condition_decides(high: bool, medium: bool, level: Risk) -> None:  # noqa: FBT001 - a table
    """High before medium, and low where neither holds."""
    table = RiskTable(high=("a", "b"), medium=("c",))

    assert highest(table, [(False, ""), (high, "b"), (medium, "c")]).level is level


def written(quorum: int | None, level: Risk | None, at_level: int | None) -> Approval:
    groups = ("all",)
    own = {level.value: ApprovalAtRisk(quorum=at_level)} if level else {}
    return Approval(quorum=quorum, **{"from": groups}, **own)  # type: ignore[arg-type]


approvals = st.builds(written, quorums, levels, quorums)


def configuration(floor: Approval | None, asked: Approval | None) -> Configuration:
    place = ServiceEnvironment(targets={"site": TargetTerms(target="directory")}, approval=asked)
    service = {
        "service": "shop",
        "components": {"site": {"kind": "content"}},
        "environments": {"production": place},
    }
    return Configuration(
        organisation=Organisation(groups={"all": ("a", "b", "c", "d", "e")}),
        environments={"production": EnvironmentFile(environment="production", approval=floor)},
        services={"shop": ServiceFile.model_validate(service)},
    )


@given(approvals, approvals, levels)
def test_no_service_asks_for_fewer_than_the_floor_at_any_risk(
    floor: Approval, asked: Approval, risk: Risk | None
) -> None:
    """Whatever a service writes, at every risk at least as many approve as the environment asks for at it."""
    both = configuration(floor, asked).approval(SUBJECT, risk).quorum

    meant = [one.at(risk).quorum for one in (floor, asked)]
    assert both == max((one for one in meant if one is not None), default=1)


def test_low_risk_may_pass_without_a_person() -> None:
    """Where the environment says so, and no more than that: other risks ask people as before."""
    floor = Approval(quorum=1, low=ApprovalAtRisk(quorum=0), **{"from": ("all",)})  # type: ignore[arg-type]
    here = configuration(floor, None)

    asked = {risk: here.approval(SUBJECT, risk).quorum for risk in (None, *Risk)}

    assert asked == {None: 1, Risk.LOW: 0, Risk.MEDIUM: 1, Risk.HIGH: 1}


def test_further_quorums_of_environment_and_service_add_up_at_each_risk() -> None:
    """A level may ask nobody further, which takes away the words beside it and none of the other file."""
    floor = Approval.model_validate(
        {"from": ["all"], "also": [{"quorum": 2, "from": ["all"]}], "low": {"also": []}}
    )
    asked = Approval.model_validate({"also": [{"from": ["all"]}], "medium": {"also": []}})
    both = configuration(floor, asked)

    found = {risk: [one.quorum for one in both.approval(SUBJECT, risk).also] for risk in (None, *Risk)}

    assert found == {None: [2, 1], Risk.LOW: [1], Risk.MEDIUM: [2], Risk.HIGH: [2, 1]}


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        (Approval(low=ApprovalAtRisk(quorum=0)), "low.quorum: 0 is fewer than the 2 approvers"),
        (Approval(high=ApprovalAtRisk(quorum=9)), "high.quorum: 9 approvers cannot be had"),
        (Approval(high=ApprovalAtRisk.model_validate({"from": ["nobody"]})), "high.from: there is no group"),
        (Approval(high=ApprovalAtRisk(quorum=3)), ""),
        (
            Approval(high=ApprovalAtRisk.model_validate({"also": [{"from": ["nobody"]}]})),
            "high.also.0.from: there is no group",
        ),
        (
            Approval(high=ApprovalAtRisk.model_validate({"also": [{"quorum": 9, "from": ["all"]}]})),
            "high.also.0.quorum: 9 approvers cannot be had",
        ),
    ],
)
def test_a_level_below_the_floor_is_a_mistake(asked: Approval, problem: str) -> None:
    """Each level is held against the floor, and against who could give it."""
    found = faults(configuration(written(2, None, None), asked))

    said = [
        f"{'.'.join(map(str, fault.spot.keys[3:]))}: {fault.problem}"
        for fault in found
        if not fault.is_warning
    ]

    assert [problem in one for one in said] == ([True] if problem else [])
