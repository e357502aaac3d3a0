import math
from collections.abc import Iterator
from datetime import timedelta
from fnmatch import fnmatchcase

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import JsonValue

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
from domain.release import Kind
from domain.signers import names_in, signer_faults
from domain.space import Space
from domain.terms import ApprovalTerms, LanePolicy, LaneTerms, TargetTerms
from domain.windows import Window
from domain.written import (
    as_written,
    split_check,
    split_place,
)

SUBJECT = Subject(service="shop", environment="production")
PEOPLE = ("ana", "Ana ", "bo", "cy", "di")
few_hours = st.none() | st.integers(0, 3).map(lambda hours: timedelta(hours=hours))
some_hours = st.none() | st.integers(1, 3).map(lambda hours: timedelta(hours=hours))
groups = st.lists(st.sampled_from(["one", "two", "three"]), max_size=2, unique=True).map(tuple)
approvals = st.fixed_dictionaries(
    {
        "quorum": st.none() | st.integers(0, 3),
        "from": groups,
        "wait": some_hours,
        "valid": some_hours,
        "signed": st.sampled_from([None, False, True]),
        "separate": st.sampled_from([None, (), ("author",), ("requester",), ("requester", "author")]),
        "also": st.none()
        | st.lists(
            st.fixed_dictionaries(
                {"quorum": st.integers(1, 2), "from": st.sampled_from([("one",), ("two",)])}
            ),
            max_size=1,
        ),
    }
).map(Approval.model_validate)
WAITING = {LanePolicy.QUEUE: math.inf, LanePolicy.SUPERSEDE: 1, LanePolicy.REFUSE: 0}
"""How many promotions may wait."""
members = st.fixed_dictionaries(
    dict.fromkeys(("one", "two", "three"), st.lists(st.sampled_from(PEOPLE), max_size=3).map(tuple))
)


def configured(
    floor: EnvironmentFile, place: ServiceEnvironment, people: dict[str, tuple[str, ...]]
) -> Configuration:
    placed = place.but(targets={"site": TargetTerms(target="directory")})
    return Configuration(
        organisation=Organisation(groups=people),
        environments={"production": floor},
        services={
            "shop": ServiceFile(
                service="shop",
                components={"site": ComponentFile(kind=Kind.CONTENT)},
                environments={"production": placed},
            )
        },
        signers=("*",),
    )


configurations = st.builds(
    configured,
    st.builds(
        EnvironmentFile,
        environment=st.just("production"),
        approval=st.none() | approvals,
        soak=st.integers(0, 3).map(lambda hours: timedelta(hours=hours)),
        lane=st.sampled_from(LanePolicy),
        **{"yield": st.none() | st.booleans()},
    ),
    st.builds(
        ServiceEnvironment,
        approval=st.none() | approvals,
        soak=few_hours,
        lane=st.none() | st.sampled_from(LanePolicy),
        **{"yield": st.none() | st.booleans()},
    ),
    members,
)


def said(floor: Approval | None, asked: Approval | None, key: str) -> list[object]:
    """Return what was written under a key, the environment's first."""
    return [getattr(one, key) for one in (floor, asked) if one and getattr(one, key) is not None]


@given(configuration=configurations)
def test_a_service_can_only_tighten(configuration: Configuration) -> None:
    """Whatever a service writes, the floor holds: in number, in time, and in who may approve."""
    environment = configuration.environments["production"]
    floor = environment.approval or Approval(quorum=0)
    terms = configuration.terms(SUBJECT, timedelta(minutes=10), "nonce")

    assert terms.soak >= environment.soak
    assert WAITING[terms.lane.policy] <= WAITING[environment.lane]
    assert not (
        terms.lane.yields and (environment.yields is False or (environment.soak and not environment.yields))
    )
    assert terms.approval.quorum >= (floor.quorum or 0)
    for key in ("wait", "valid"):
        limit = getattr(floor, key)
        assert limit is None or getattr(terms.approval, key) <= limit
    for one in floor.also or ():
        assert (one.quorum, one.groups) in {(held.quorum, held.groups) for held in terms.approval.also}
    assert set(terms.approval.separate) >= set(("requester",) if floor.separate is None else floor.separate)
    if floor.groups:
        allowed = {name.strip().casefold() for name in configuration.members(floor.groups)}
        assert {name.strip().casefold() for name in terms.approval.approvers} <= allowed


@given(configuration=configurations)
def test_the_terms_are_the_stricter_of_what_is_written(configuration: Configuration) -> None:
    """Exactly: the larger quorum and soak, the shorter times, and the usual where nobody wrote any."""
    environment, place = configuration.environments["production"], configuration.place(SUBJECT)
    assert place
    floor, asked = environment.approval, place.approval
    terms = configuration.terms(SUBJECT, timedelta(minutes=10), "nonce")
    usual = ApprovalTerms()

    nobody = 1 if floor or asked else 0
    assert terms.approval.quorum == max(said(floor, asked, "quorum"), default=nobody)  # type: ignore[type-var]
    assert terms.approval.wait == min(said(floor, asked, "wait"), default=usual.wait)  # type: ignore[type-var]
    assert terms.approval.valid == min(said(floor, asked, "valid"), default=usual.valid)  # type: ignore[type-var]
    assert terms.approval.signed == any(said(floor, asked, "signed"))
    assert terms.soak == max(environment.soak, place.soak or timedelta())
    policies = (environment.lane, place.lane or LanePolicy.QUEUE)
    assert terms.lane.policy == min(policies, key=lambda policy: WAITING[policy])


def weaker_keys(floor: EnvironmentFile, asked: ServiceEnvironment) -> Iterator[str]:
    """Yield what a service asks less of, approval apart."""
    if asked.soak is not None and asked.soak < floor.soak:
        yield "soak"
    if asked.lane is not None and WAITING[asked.lane] > WAITING[floor.lane]:
        yield "lane"
    if asked.yields and not (floor.yields or (floor.yields is None and not floor.soak)):
        yield "yield"


@given(configuration=configurations)
def test_a_floor_is_undercut_exactly_where_it_is_told(configuration: Configuration) -> None:
    """Each weaker word is a fault with the floor's place, and no other is."""
    environment, place = configuration.environments["production"], configuration.place(SUBJECT)
    assert place
    floor, asked = environment.approval or Approval(), place.approval or Approval()
    weaker: set[tuple[str | int, ...]] = {(key,) for key in weaker_keys(environment, place)}
    if asked.quorum is not None and floor.quorum is not None and asked.quorum < floor.quorum:
        weaker.add(("approval", "quorum"))
    if asked.signed is False and floor.signed:
        weaker.add(("approval", "signed"))
    kept = ("requester",) if floor.separate is None else floor.separate
    if asked.separate is not None and {*kept} - {*asked.separate}:
        weaker.add(("approval", "separate"))
    for key in ("wait", "valid"):
        ours, theirs = getattr(asked, key), getattr(floor, key)
        if ours is not None and theirs is not None and ours > theirs:
            weaker.add(("approval", key))
    allowed = {name.strip().casefold() for name in configuration.members(floor.groups)}
    wanted = {name.strip().casefold() for name in configuration.members(asked.groups)}
    if floor.groups and wanted - allowed:
        weaker.add(("approval", "from"))

    found = {fault.spot.keys[2:] for fault in faults(configuration) if fault.bound}

    assert found == weaker


@given(configuration=configurations)
def test_a_configuration_without_fault_can_be_approved_as_it_is_written(configuration: Configuration) -> None:
    """What a service writes holds to the letter, and enough people may approve it."""
    assume(not [fault for fault in faults(configuration) if not fault.is_warning])
    place, terms = configuration.place(SUBJECT), configuration.approval(SUBJECT)
    assert place

    assert len(terms.approvers) >= terms.quorum
    assert all(len(one.approvers) >= one.quorum for one in terms.also)
    assert set(terms.separate) >= {*((place.approval and place.approval.separate) or ())}
    for key in ("quorum", "wait", "valid"):
        written = getattr(place.approval, key, None)
        assert written is None or getattr(terms, key) == written


@given(
    configuration=configurations,
    quorum=st.integers(1, 3),
    who=st.lists(st.sampled_from(["one", "two", "three"]), min_size=1, max_size=2, unique=True).map(tuple),
)
def test_a_quorum_is_told_to_be_too_large_exactly_when_it_is(
    configuration: Configuration, quorum: int, who: tuple[str, ...]
) -> None:
    """People count once however they are spelled; whoever asks never counts, which is a warning."""
    asked = Approval.model_validate({"quorum": quorum, "from": who})
    place = ServiceEnvironment(approval=asked)
    built = configured(
        EnvironmentFile(environment="production"), place, dict(configuration.organisation.groups)
    )
    people = {name.strip().casefold() for group in who for name in built.organisation.groups[group]}

    found = [fault.is_warning for fault in faults(built)]

    assert found == ([False] if quorum > len(people) else [True] if quorum == len(people) else [])


names = st.sampled_from(["a", "b", "c", "d"])


@given(road=st.dictionaries(names, st.lists(names, max_size=3).map(tuple), min_size=1))
def test_a_road_has_a_fault_exactly_when_it_goes_in_circles_or_nowhere(
    road: dict[str, tuple[str, ...]],
) -> None:
    """Following ``after`` to its end must end, at environments of the road."""
    left = dict(road)
    while ready := [name for name, after in left.items() if not set(after) & left.keys()]:
        left = {name: after for name, after in left.items() if name not in ready}
    strays = sum(before not in road for after in road.values() for before in after)
    site = {"site": TargetTerms(target="directory")}
    configuration = Configuration(
        environments={name: EnvironmentFile(environment=name) for name in road},
        services={
            "shop": ServiceFile(
                service="shop",
                components={"site": ComponentFile(kind=Kind.CONTENT)},
                environments={
                    name: ServiceEnvironment(after=after, targets=site) for name, after in road.items()
                },
            )
        },
    )

    found = [fault.problem for fault in faults(configuration)]

    assert any("circle" in problem for problem in found) == bool(left)
    assert sum("does not go to" in problem for problem in found) == strays


def test_people_are_listed_once() -> None:
    """However their names are typed, in the order in which they first stand."""
    people = Organisation(groups={"one": ("bo", "Ana"), "two": ("ana ", "cy", "BO")})

    assert Configuration(organisation=people).members(["one", "two", "three"]) == ("bo", "Ana", "cy")


def test_a_place_is_split_into_keys_and_components() -> None:
    """A component's line is its target and that target's settings; where it was written is found again."""
    written: dict[str, JsonValue] = {
        "after": ["dev"],
        "site": {"target": "directory", "root": "live"},
        "soka": "1m",
    }

    split = split_place(written, ["site"])

    assert split == {
        "after": ["dev"],
        "targets": {"site": {"target": "directory", "settings": {"root": "live"}}},
        "fleets": {},
    }
    assert as_written(("environments", "dev", "targets", "site", "settings", "root")) == (
        "environments", "dev", "site", "root",
    )  # fmt: skip
    assert as_written(("environments", "dev", "targets", "site", "target")) == (
        "environments", "dev", "site", "target",
    )  # fmt: skip


def test_a_component_with_many_targets_is_split_into_its_berths() -> None:
    """Each target is a berth of its own; how they are gone through stands beside them, and is found again."""
    written: dict[str, JsonValue] = {
        "site": {
            "targets": {"eu-1": {"target": "directory", "root": "a"}, "us-1": {"target": "directory"}},
            "waves": [["eu-1"], ["us-1"]],
        }
    }

    split = split_place(written, ["site"])

    assert split == {
        "targets": {
            "site@eu-1": {"target": "directory", "settings": {"root": "a"}},
            "site@us-1": {"target": "directory", "settings": {}},
        },
        "fleets": {"site": {"waves": [["eu-1"], ["us-1"]]}},
    }
    assert as_written(("environments", "dev", "targets", "site@eu-1", "settings", "root")) == (
        "environments", "dev", "site", "targets", "eu-1", "root",
    )  # fmt: skip
    assert as_written(("environments", "dev", "fleets", "site", "parallel")) == (
        "environments", "dev", "site", "parallel",
    )  # fmt: skip


def test_a_check_is_split_into_its_kind_and_settings() -> None:
    """The key that is a kind says which, and is a setting of it."""
    written: dict[str, JsonValue] = {"http": "http://x/", "status": 200, "within": "30s"}

    split = split_check(written, ["command", "http"])

    assert split == {"check": "http", "within": "30s", "settings": {"http": "http://x/", "status": 200}}
    assert as_written(("environments", "dev", "health", 0, "settings", "status")) == (
        "environments", "dev", "health", 0, "status",
    )  # fmt: skip


@given(
    approval=approvals,
    signers=st.none() | st.lists(st.sampled_from(["ana", "bo", "c*", "di"]), unique=True).map(tuple),
    people=members,
)
def test_whoever_is_to_sign_and_cannot_is_told_exactly_then(
    approval: Approval, signers: tuple[str, ...] | None, people: dict[str, tuple[str, ...]]
) -> None:
    """A mistake where too few can sign, a warning where some cannot; nothing where nobody needs to."""
    floor = EnvironmentFile(environment="production", approval=approval)
    built = configured(floor, ServiceEnvironment(), people).but(signers=signers)
    terms = built.approval(SUBJECT)
    everybody = {*terms.approvers, *(name for one in terms.also for name in one.approvers)}
    can = {name for name in everybody if any(fnmatchcase(name, one) for one in signers or ())}

    found = list(signer_faults(built))

    if not terms.signed:
        assert not found
    elif signers is None:
        assert [fault.is_warning for fault in found] == [False]
    else:
        wanting = {name for name in terms.policy(None).people if name not in can}
        enough = all(len(can & {*one.approvers}) >= one.quorum for one in terms.quorums)
        assert [fault.is_warning for fault in found] == ([enough] if wanting else [])


def test_names_are_read_as_openssh_reads_them() -> None:
    """Comments, patterns, several names in one field, quotes, options."""
    text = """
# who may sign
bo@example.com ssh-ed25519 AAAA
cy@example.com,*@ops.example.com namespaces="decision@towpath" ssh-ed25519 AAAA
"di@example.com" cert-authority ssh-ed25519 AAAA
"""
    assert names_in(text) == ("bo@example.com", "cy@example.com", "*@ops.example.com", "di@example.com")


@pytest.mark.parametrize(
    ("floor", "asked", "yields"),
    [
        ({}, {}, False),
        ({}, {"yield": True}, True),
        ({"yield": True}, {}, True),
        ({"yield": True, "soak": "1h"}, {}, True),
        ({"yield": True}, {"yield": False}, False),
        ({"soak": "1h"}, {"yield": True}, False),
        ({"yield": False}, {"yield": True}, False),
    ],
)
def test_a_soak_yields_where_whoever_asks_for_it_says_so(
    floor: dict[str, object], asked: dict[str, object], *, yields: bool
) -> None:
    """The platform for its own, the service for what the platform leaves to it; a service may always say no."""
    environment = EnvironmentFile.model_validate({"environment": "production", **floor})
    configuration = configured(environment, ServiceEnvironment.model_validate(asked), {})

    assert configuration.lane(SUBJECT) == LaneTerms(yields=yields)
    told = [fault for fault in faults(configuration) if fault.spot.keys[-1] == "yield"]
    assert bool(told) == (asked.get("yield") is True and not yields)


EVENING = Window.model_validate({"from": "18:00", "to": "20:00", "zone": "UTC"})
BERLIN = Window.model_validate({"from": "09:00", "to": "19:30", "zone": "Europe/Berlin"})
MORNING = Window.model_validate({"from": "06:00", "to": "09:00", "zone": "UTC"})


@pytest.mark.parametrize(("own", "meets"), [(BERLIN, True), (MORNING, False)])
def test_windows_that_never_meet_the_environments_are_a_mistake(own: Window, meets: bool) -> None:  # noqa: FBT001
    """A change could never begin; where they meet at some time of the year, it can."""
    floor = EnvironmentFile(environment="production", windows=(EVENING,))
    found = [*faults(configured(floor, ServiceEnvironment(windows=(own,)), {}))]

    assert [fault.spot.keys[-1] for fault in found] == ([] if meets else ["windows"])


def test_a_service_cannot_let_towpath_act_where_its_environment_only_observes() -> None:
    """It may only tighten: say the same, or say it where the environment does not."""
    floor = EnvironmentFile(environment="production", observe_only=True)
    (fault,) = faults(configured(floor, ServiceEnvironment(observe_only=False), {}))

    assert "only observes" in fault.problem
    assert configured(floor, ServiceEnvironment(), {}).observes(SUBJECT)
    assert configured(floor.but(observe_only=False), ServiceEnvironment(observe_only=True), {}).observes(
        SUBJECT
    )


@pytest.mark.parametrize(
    ("production", "faulty"),
    [(None, False), (Space(namespace="vault"), False), (Space(namespace="office"), True)],
    ids=["nowhere else", "another namespace", "the same one by another way"],
)
def test_a_namespace_is_reached_in_one_way(production: Space | None, *, faulty: bool) -> None:
    """Two profiles for one namespace may lead to two servers, and one of them is a stranger's."""
    staging = Space(namespace="office", profile="office")
    environments = {
        name: EnvironmentFile(environment=name, temporal=lives)
        for name, lives in (("staging", staging), ("production", production))
    }

    found = [fault for fault in faults(Configuration(environments=environments)) if not fault.is_warning]

    assert [fault.spot.keys for fault in found] == [("temporal",)] * faulty


def test_where_an_environment_lives_changes_nothing_about_a_change() -> None:
    """An approval outlives a move."""
    service = ServiceFile.model_validate(
        {"service": "shop", "components": {"site": {"kind": "content"}}, "environments": {"dev": {}}}
    )
    here, moved = (
        Configuration(
            environments={"dev": EnvironmentFile(environment="dev", temporal=lives)},
            services={"shop": service},
        ).terms(Subject(service="shop", environment="dev"), timedelta(minutes=5), "nonce")
        for lives in (None, Space(namespace="office"))
    )

    assert here == moved


def test_a_service_cannot_leave_out_the_rehearsal_that_its_environment_asks_for() -> None:
    """It may only tighten: ask for one where the environment does not."""
    floor = EnvironmentFile(environment="production", rehearse=True)
    (fault,) = faults(configured(floor, ServiceEnvironment(rehearse=False), {}))

    assert "rehearses" in fault.problem
    assert configured(floor, ServiceEnvironment(), {}).rehearses(SUBJECT)
    assert configured(floor.but(rehearse=False), ServiceEnvironment(rehearse=True), {}).rehearses(SUBJECT)
    assert configured(floor, ServiceEnvironment(), {}).terms(SUBJECT, timedelta(minutes=5), "1").rehearse
