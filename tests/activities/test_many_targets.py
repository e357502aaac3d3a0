"""Many targets for one component, as people write them."""

from pathlib import Path

import pytest

from activities.checks import CHECKS
from activities.configuration_file import Kinds
from activities.configuration_folder import inspect_folder, read_folder
from activities.configuration_showing import effective
from activities.schemas import schemas
from activities.targets import TARGETS
from domain.names import Subject
from domain.terms import Terms

DEV = Subject(service="shop", environment="dev")
GOOD = """\
targets:
        eu-1: {target: directory, root: live/eu-1}
        eu-2: {target: directory, root: live/eu-2}
        us-1: {target: directory, root: live/us-1}
      waves: [[us-1], [eu-1, eu-2]]
      parallel: 2"""


def lay_out(folder: Path, site: str, *, health: str = "[]", floor: str = "") -> Path:
    """Write a folder with one service whose site goes to dev like this."""
    for part in ("environments", "services"):
        (folder / part).mkdir()
    (folder / "towpath.yaml").write_text("groups: {dbas: [di, dora]}\n")
    (folder / "environments" / "dev.yaml").write_text(f"environment: dev\n{floor}")
    (folder / "services" / "shop.yaml").write_text(
        "service: shop\ncomponents:\n  schema: {kind: settings}\n  site: {kind: content}\n"
        "environments:\n  dev:\n    site:\n      "
        f"{site}\n    schema: {{target: directory, root: live/schema}}\n    health: {health}\n"
    )
    return folder


def terms_of(folder: Path) -> Terms:
    budget = Terms.model_fields["budget"].default
    return read_folder(folder, TARGETS, CHECKS).terms(DEV, budget, "nonce")


def told(folder: Path) -> list[str]:
    return [str(mistake) for mistake in inspect_folder(folder, TARGETS, CHECKS).mistakes]


def test_berths_come_in_the_order_of_their_turn(tmp_path: Path) -> None:
    """Components as they are declared, whatever order the environment names them in; then wave by wave."""
    terms = terms_of(lay_out(tmp_path, GOOD))

    assert list(terms.targets) == ["schema", "site@us-1", "site@eu-1", "site@eu-2"]
    assert [terms.fleets["site"].wave(at) for at in ("us-1", "eu-1", "eu-2", None)] == [1, 2, 2, 0]


def test_without_waves_the_first_target_goes_alone(tmp_path: Path) -> None:
    """Nobody has to think of a canary to have one."""
    terms = terms_of(lay_out(tmp_path, GOOD.partition("\n      waves")[0]))

    assert terms.fleets["site"].waves == (("eu-1",), ("eu-2", "us-1"))


def test_what_holds_is_shown_with_its_place(tmp_path: Path) -> None:
    """``config show`` names each target, its settings and the waves, and the line where each is written."""
    configuration = read_folder(lay_out(tmp_path, GOOD), TARGETS, CHECKS)
    kinds = {name: kind.settings for name, kind in TARGETS.items()}

    shown = {held.key: held for held in effective(configuration, DEV, kinds, {})}

    assert shown["site@eu-2.root"].value == "live/eu-2"
    spot = shown["site@eu-2.root"].spot
    assert spot
    assert spot.keys == ("environments", "dev", "site", "targets", "eu-2", "root")
    assert shown["site.parallel"].value == 2


def test_editors_know_both_forms() -> None:
    """The schema of a component's line takes one target, or many by name."""
    kinds = Kinds({name: kind.settings for name, kind in TARGETS.items()}, {})

    place = schemas(kinds)["service"]["properties"]["environments"]["additionalProperties"]

    many = place["additionalProperties"]["anyOf"][-1]
    assert set(many["properties"]) == {"targets", "waves", "parallel", "pause"}
    assert many["required"] == ["targets"]


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        (("[us-1], ", ""), "us-1 is in no wave, so nothing would reach it"),
        (("[us-1], ", "[us-1], [eu-1], "), "eu-1 is named 2 times"),
        (("[us-1], ", "[us-2], "), "site has no target “us-2” here"),
        (("[us-1], ", "[], [us-1], "), "this wave is empty"),
        (("parallel: 2", "parallel: 0"), "parallel"),
        (("parallel: 2", "paralel: 2"), "paralel"),
        (("parallel: 2", "pause: 2d"), "pause"),
        (
            ("eu-2: {target: directory, root: live/eu-2}", "eu-2: {target: dircetory}"),
            "no target “dircetory”",
        ),
        (("eu-2: {target: directory, root: live/eu-2}", "eu-2: {root: live/eu-2}"), "target is missing"),
        (("eu-2: {target: directory, root: live/eu-2}", "eu-2: live/eu-2"), "is not a target"),
        (("eu-2:", "eu/2:"), "“eu/2” cannot be a target's name"),
        (("targets:", "target: directory\n      targets:"), "either one target or many"),
    ],
)
def test_a_mistake_is_told_where_it_is_written(tmp_path: Path, change: tuple[str, str], wanted: str) -> None:
    """File, line and key, whatever is wrong with waves, names or targets."""
    faults = told(lay_out(tmp_path, GOOD.replace(*change)))

    assert any(wanted in fault for fault in faults), faults
    assert all(fault.startswith("services/shop.yaml:") for fault in faults)


def test_no_target_at_all_is_told(tmp_path: Path) -> None:
    """An empty list of targets is not a component that goes nowhere in silence."""
    assert any("no target" in fault for fault in told(lay_out(tmp_path, "targets: {}")))


def test_a_check_may_look_at_one_of_many(tmp_path: Path) -> None:
    """By the target's name; one that is not there is told."""
    good = '[{http: "http://127.0.0.1/", component: site, target: eu-1}]'

    assert terms_of(lay_out(tmp_path, GOOD, health=good)).health[0].target == "eu-1"


@pytest.mark.parametrize(
    ("health", "wanted"),
    [
        ('[{http: "http://127.0.0.1/", component: site, target: eu-9}]', "site has no target “eu-9” here"),
        ('[{http: "http://127.0.0.1/", target: eu-1}]', "of which component is not said"),
    ],
)
def test_a_check_of_no_target_is_told(tmp_path: Path, health: str, wanted: str) -> None:
    """Nobody waits for a check that looks at nothing."""
    assert any(wanted in fault for fault in told(lay_out(tmp_path, GOOD, health=health)))


def test_pivots_take_more_people_or_others(tmp_path: Path) -> None:
    """Where the environment says so, and only for a plan that holds one."""
    floor = "pivots: {quorum: 1, from: [dbas]}\n"
    configuration = read_folder(lay_out(tmp_path, GOOD, floor=floor), TARGETS, CHECKS)

    assert configuration.approval(DEV).quorum == 0
    pivots = configuration.approval(DEV, pivots=True)
    assert (pivots.quorum, pivots.approvers) == (1, ("di", "dora"))


@pytest.mark.parametrize(
    ("floor", "wanted"),
    [
        ("pivots: approve\n", "nobody is named who may"),
        ("pivots: allow\n", "“allow” says nothing here"),
        ("pivots: {from: [dbs]}\n", "there is no group “dbs”"),
        ("pivots: {quorum: 3, from: [dbas]}\n", "3 approvers cannot be had"),
    ],
)
def test_a_pivot_that_nobody_could_approve_is_told(tmp_path: Path, floor: str, wanted: str) -> None:
    """Before anybody waits for them."""
    assert any(wanted in fault for fault in told(lay_out(tmp_path, GOOD, floor=floor)))
