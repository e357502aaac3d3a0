"""Who may do what: what is not written everybody may, and a service only ever takes away."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.approval import Requester, Standing, standing
from domain.approval_written import Approval
from domain.configuration import Configuration
from domain.configuration_files import (
    ComponentFile,
    EnvironmentFile,
    Organisation,
    ServiceEnvironment,
    ServiceFile,
)
from domain.consistency import faults
from domain.names import Subject
from domain.permission import permission, why_may_not
from domain.release import Kind
from domain.roles import ASKS_FOR, OF_THE_ENVIRONMENT, STANDS_IN, Door, Role, Roles

GROUPS = {"on-call": ("ann", "bo"), "managers": ("cy", "dee"), "empty": ()}
PEOPLE = ("ann", "bo", "cy", "dee", "eve")
SUBJECT = Subject(service="shop", environment="production")

holders = st.none() | st.fixed_dictionaries(
    {
        "from": st.lists(st.sampled_from(sorted(GROUPS)), max_size=2),
        "people": st.lists(st.sampled_from(PEOPLE), max_size=2),
    }
)
roles = st.dictionaries(st.sampled_from([role.value for role in Role]), holders)


def configured(
    floor: dict[str, Any], own: dict[str, Any] | None = None, approval: Approval | None = None
) -> Configuration:
    place = ServiceEnvironment(roles=Roles.model_validate(own or {}), approval=approval)
    return Configuration(
        organisation=Organisation(groups=GROUPS),
        environments={
            "production": EnvironmentFile(environment="production", roles=Roles.model_validate(floor))
        },
        services={
            "shop": ServiceFile(
                service="shop",
                components={"site": ComponentFile(kind=Kind.CONTENT)},
                environments={"production": place},
            )
        },
    )


def named(written: dict[str, Any], role: Role) -> set[str]:
    one = written.get(role.value) or {"from": (), "people": ()}
    return {name for group in one["from"] for name in GROUPS[group]} | set(one["people"])


def lets(written: dict[str, Any], role: Role, name: str) -> bool:
    """What one file says, told anew: nothing is everybody, and who administers operates and freezes."""
    if written.get(role.value) is None:
        return True
    administers = role in {Role.OPERATE, Role.FREEZE} and name in named(written, Role.ADMINISTER)
    return name in named(written, role) or administers


def test_every_door_asks_for_one_role() -> None:
    assert set(ASKS_FOR) == set(Door)
    assert Role.APPROVE not in STANDS_IN
    assert Role.REQUEST not in STANDS_IN


@given(roles, roles, st.sampled_from(PEOPLE), st.sampled_from(Door))
def test_somebody_may_exactly_where_both_files_let_them(
    floor: dict[str, Any], own: dict[str, Any], name: str, door: Door
) -> None:
    role = ASKS_FOR[door]
    asked = [floor] if door in OF_THE_ENVIRONMENT else [floor, own]

    found = permission(
        configured(floor, own, Approval.model_validate({"from": ["on-call", "managers"]})),
        name,
        door,
        "production",
        "shop",
    )

    approves = role is not Role.APPROVE or name != "eve"
    assert found.allowed is (approves and all(lets(written, role, name) for written in asked))
    assert name in found.why


@given(roles, st.sampled_from(PEOPLE), st.sampled_from(Door))
def test_where_nothing_is_written_everybody_may_and_it_is_said(
    own: dict[str, Any], name: str, door: Door
) -> None:
    """A door of the environment's asks no service."""
    if door not in OF_THE_ENVIRONMENT:
        own = {}
    if ASKS_FOR[door] is not Role.APPROVE:
        found = permission(configured({}, own), name, door, "production", "shop")
        assert found.allowed
        assert "everybody has it" in found.why


def test_a_refusal_names_the_rule_and_whom_it_names() -> None:
    floor = {"operate": {"from": ["on-call"]}, "administer": {"people": ["cy"]}}

    found = permission(configured(floor), "eve", Door.SKIP, "production", "shop")

    assert found.why == (
        "eve may not skip shop in production: environments/production.yaml gives the role operate to ann, bo, "
        "and administer to cy"
    )
    assert found.spot
    assert found.spot.keys == ("roles", "operate")


def test_letter_case_makes_no_other_person() -> None:
    floor = {"freeze": {"people": ["Ann@Example.com"]}}

    assert not why_may_not(configured(floor), "ann@example.com", Door.FREEZE, "production")


def test_who_has_not_the_role_to_approve_is_no_approver() -> None:
    """Whatever groups approval names; and so their decision does not count at the effect."""
    asked = Approval.model_validate({"quorum": 1, "from": ["on-call"], "also": [{"from": ["managers"]}]})
    floor = {"approve": {"people": ["bo", "cy"]}}

    terms = configured(floor, approval=asked).approval(SUBJECT)

    assert terms.approvers == ("bo",)
    assert terms.also[0].approvers == ("cy",)
    assert standing(terms.policy(None), Requester("ana"), "sha256:" + "0" * 64, ()) is Standing.PENDING


@pytest.mark.parametrize(
    ("floor", "own", "said"),
    [
        ({"operate": {"from": ["oncall"]}}, {}, "there is no group “oncall”"),
        ({"operate": {"from": ["empty"]}}, {}, "nobody has the role operate here"),
        ({}, {"freeze": {"people": ["ann"]}}, "freeze is about the whole environment"),
        ({"approve": {"people": ["ann"]}}, {}, "2 must approve shop in production"),
    ],
)
def test_mistakes_are_found(floor: dict[str, Any], own: dict[str, Any], said: str) -> None:
    asked = Approval.model_validate({"quorum": 2, "from": ["on-call"]})

    found = [fault.problem for fault in faults(configured(floor, own, asked))]

    assert any(said in problem for problem in found)


def test_who_has_a_role_where_words_are_signed_needs_a_key() -> None:
    """Whoever is on duty finds it out beforehand, and not at night."""
    asked = Approval.model_validate({"quorum": 1, "from": ["managers"], "signed": True})
    written = configured({"freeze": {"people": ["ann", "bo"]}}).but(signers=("ann", "c*", "d*"))
    files = {"production": written.environments["production"].but(approval=asked)}

    found = [fault.problem for fault in faults(written.but(environments=files)) if fault.is_warning]
    unsigned = [fault.problem for fault in faults(written) if fault.is_warning]

    assert found == ["bo cannot sign, and so cannot use this role: allowed_signers has no key of theirs"]
    assert not unsigned


@given(roles, roles)
def test_it_is_guarded_exactly_where_somebody_wrote_a_role(
    floor: dict[str, Any], own: dict[str, Any]
) -> None:
    """Nothing is asked of a worker where nobody wrote any."""
    guarded = any(one is not None for one in (*floor.values(), *own.values()))

    assert configured(floor, own).is_guarded("production", "shop") is guarded
    assert configured(floor, own).guards("production") is guarded
