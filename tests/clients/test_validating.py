"""``validate`` and ``plan --check``: what a promotion would meet, for people and for CI, and nothing is begun."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from clients.cli.validating import annotations, write_junit
from domain.names import promotion_id
from domain.rule import Ruling, Weight
from domain.validation import Validation, validation
from tests.clients.conftest import CommandLine
from tests.domain.test_rule import proposal, ruling
from tests.town import Town
from tests.workflows.test_rules import floor, rule


def hold_to_rules(town: Town) -> None:
    floor(
        town,
        town.dev,
        rules=(
            rule("metadata", {"require": ["notes"]}, name="notes, please", remedy="write some"),
            rule("metadata", {"require": ["author"]}, Weight.WARN),
            rule("command", ["sh", "-c", "echo 2 tests failed; exit 1"], Weight.NOTE),
            rule("expression", "release.version == '1.0.0'"),
        ),
    )


async def test_a_validation_says_what_stands_in_the_way(towpath: CommandLine, town: Town) -> None:
    """Sentences for people, annotations and a report for CI, exit code 10, and no promotion."""
    hold_to_rules(town)
    town.make("1.0.0")
    file = towpath.folder / "reports/validation.xml"

    ran = await towpath.type(
        "validate", town.service, "1.0.0", "--to", town.dev, "--junit", str(file), "--github"
    )

    assert ran.code == 10
    assert f"1.0.0 of {town.service} in {town.dev} would be refused." in ran.said
    assert (
        "✗ notes, please: release 1.0.0 says nothing of its notes: create it with --notes …; write some"
        in ran.said
    )
    assert "warning: metadata: release 1.0.0 says nothing of its author" in ran.said
    assert "✓ expression: “release.version == '1.0.0'” is true" in ran.said
    assert "note: command:" in ran.said
    assert [line.split(" ")[0] for line in ran.out.splitlines() if line.startswith("::")] == [
        "::error",
        "::warning",
        "::notice",
    ]
    suite = ET.parse(file).getroot()[0]
    assert (suite.get("tests"), suite.get("failures")) == ("5", "1")
    assert [test.find("failure") is not None for test in suite] == [False, True, False, False, False]
    assert suite[3].findtext("system-out") == "2 tests failed"
    assert promotion_id(town.subject(town.dev), "1.0.0") not in [
        row.id async for row in town.client.list_workflows(f"TowpathService='{town.service}'")
    ]


async def test_a_validation_is_json_where_asked(towpath: CommandLine, town: Town) -> None:
    """One value on stdout, whatever else is asked for; without a rule there is nothing to fail."""
    town.make("1.0.0")

    ran = await towpath.type("validate", town.service, "1.0.0", "--to", town.dev, "--json", "--github")

    found = Validation.model_validate(json.loads(ran.out), extra="forbid")
    assert (ran.code, found.passed, [case.name for case in found.cases]) == (0, True, ["plan"])


async def test_a_plan_is_checked(towpath: CommandLine, town: Town) -> None:
    """The plan, then what each rule found; a release that is not there is a case too."""
    hold_to_rules(town)
    town.make("1.0.0")

    ran = await towpath.type("plan", town.service, "1.0.0", town.dev, "--check")
    lost = await towpath.type("plan", town.service, "9.9.9", town.dev, "--check")
    mixed = await towpath.type("plan", town.service, "1.0.0", town.dev, "--github")

    assert (ran.code, lost.code, mixed.code) == (10, 10, 2)
    assert "note: warning: metadata: release 1.0.0 says nothing of its author" in ran.said
    assert "would be refused. ✓ plan:" in ran.said
    assert "✗ plan:" in lost.said
    assert "--check" in mixed.said


async def test_a_report_that_cannot_be_written_is_said(towpath: CommandLine, town: Town) -> None:
    """With the file's name, and no trace of a stack."""
    town.make("1.0.0")
    (towpath.folder / "taken").write_text("")

    ran = await towpath.type(
        "validate", town.service, "1.0.0", "--to", town.dev, "--junit", str(towpath.folder / "taken/it.xml")
    )

    assert ran.code == 2
    assert "could not be written" in ran.said


def test_nothing_that_a_program_prints_breaks_a_report(tmp_path: Path) -> None:
    """Control characters, markup and workflow commands stay text."""
    hostile = "a\x00b\x1b[31m<&]]>\n::error::no\r\n% , :"
    one: Ruling = ruling(name=f"rule, {hostile}", sentence=hostile, output=hostile)
    found = validation(proposal(one))

    write_junit(tmp_path / "it.xml", found)

    assert len(ET.parse(tmp_path / "it.xml").getroot()[0]) == 2
    (line,) = annotations(found)
    assert "\n" not in line
    assert line.startswith("::error title=rule%2C a")
    assert "%0A::error::no" in line


async def test_the_configuration_that_holds_shows_rules_and_levels(offline: CommandLine) -> None:
    """The floor's rules and the service's own, how many are asked at which risk, and where each is written."""
    (offline.folder / "environments").mkdir()
    (offline.folder / "services").mkdir()
    (offline.folder / "towpath.yaml").write_text("groups: {all: [a, b, c]}\n")
    (offline.folder / "environments/dev.yaml").write_text(
        """environment: dev
approval: {quorum: 1, from: [all], low: {quorum: 0}}
rules:
  - {files: {forbid: ["*.pem"]}, name: no secrets}
"""
    )
    (offline.folder / "services/shop.yaml").write_text(
        """service: shop
components: {site: {kind: content}}
environments:
  dev:
    site: {target: directory, root: live}
    rules: [{metadata: {require: [notes]}, severity: warn}]
"""
    )

    ran = await offline.type("config", "show", "shop", "dev")

    assert ran.code == 0
    assert "approval.low.quorum 0 environments/dev.yaml:2" in ran.said
    assert "rule no secrets severity: block, files: forbid: *.pem environments/dev.yaml:4" in ran.said
    assert "rule metadata severity: warn, metadata: require: notes services/shop.yaml:6" in ran.said
