"""What is written of shorter ways in, and found wrong before anybody is in a hurry."""

from pathlib import Path

import pytest

from activities.checks import CHECKS
from activities.configuration_folder import read_folder
from activities.targets import TARGETS
from domain.emergency import glass_of
from domain.urgency import Urgency, Waivable
from tests.activities.test_many_targets import DEV, GOOD, lay_out, told


def test_shorter_ways_are_read_from_the_environments_file(tmp_path: Path) -> None:
    """In the words that its reference shows."""
    floor = (
        "hotfix: {quorum: 1, from: [dbas], wait: 1h, valid: 2h, soak: 1m}\n"
        "break_glass: {from: [dbas], skips: [windows, freezes], review: [dbas]}\n"
    )
    configuration = read_folder(lay_out(tmp_path, GOOD, floor=floor), TARGETS, CHECKS)

    assert configuration.approval(DEV, urgency=Urgency.HOTFIX).approvers == ("di", "dora")
    glass = glass_of(configuration, DEV)
    assert (glass.breakers, glass.skips) == (("di", "dora"), (Waivable.WINDOWS, Waivable.FREEZES))


@pytest.mark.parametrize(
    ("floor", "wanted"),
    [
        ("hotfix: {from: [dbs]}\n", "there is no group “dbs”"),
        ("hotfix: {quorum: 3, from: [dbas]}\n", "3 cannot be had of 2 people"),
        ("hotfix: {also: [{from: [dbs]}]}\n", "there is no group “dbs”"),
        ("override: {from: [dbs]}\n", "there is no group “dbs”"),
        ("override: {from: [dbas], longest: 2}\n", "has no unit"),
        ("approval: {from: [dbas], escalate: [{after: 1h, to: [dbs]}]}\n", "there is no group “dbs”"),
        (
            "approval: {from: [dbas], wait: 1h, escalate: [{after: 2h, to: [dbas]}]}\n",
            "the wait is over after 1h",
        ),
        ("break_glass: {from: []}\n", "from is empty"),
        ("break_glass: {from: [dbs]}\n", "there is no group “dbs”"),
        ("break_glass: {from: [dbas], review: [dbs]}\n", "there is no group “dbs”"),
        ("break_glass: {from: [dbas], skips: [pins]}\n", "“pins” is not one of the skips"),
    ],
)
def test_a_shorter_way_that_nobody_could_take_is_told(tmp_path: Path, floor: str, wanted: str) -> None:
    """Before the emergency."""
    assert any(wanted in fault for fault in told(lay_out(tmp_path, GOOD, floor=floor)))
