"""``validate``, and what ``plan --check`` shows beside the plan: for people, for CI, and for what reads its reports."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from xml.etree import ElementTree as ET

import typer

from clients.cli.asking import ask, me, signer
from clients.cli.grammar import AsJson, By, Key, Service, Version
from clients.cli.terminal import plain, say, say_json, say_lines
from clients.trouble import UsageError
from domain.outcome import Exit
from domain.rule import Weight
from domain.terms import Proposal
from domain.validation import Validation, ValidationCase, validation

if TYPE_CHECKING:
    from clients.client import Towpath

ToEnvironment = Annotated[
    str, typer.Option("--to", metavar="ENVIRONMENT", help="Where it is to go.", show_default=False)
]
JunitFile = Annotated[
    Path | None,
    typer.Option(
        "--junit", metavar="FILE", help="Write what was found as JUnit XML too.", show_default=False
    ),
]
Github = Annotated[bool, typer.Option("--github", help="Print annotations for GitHub Actions too.")]
_GITHUB: Final = {Weight.BLOCK: "error", Weight.WARN: "warning", Weight.NOTE: "notice"}
_NOT_XML: Final = dict.fromkeys((*range(9), 11, 12, *range(14, 32), 65534, 65535), "�")


def validate(
    service: Service,
    version: Version,
    environment: ToEnvironment,
    by: By = "",
    key: Key = "",
    as_json: AsJson = False,
    junit: JunitFile = None,
    github: Github = False,
) -> None:
    """Hold a release to an environment's rules, without asking for anything. Ends with 10 where it would be refused."""
    actor, signs = me(by), signer(key)

    async def work(towpath: "Towpath") -> Exit:
        proposal = await towpath.plan(service, version, environment, by=actor, signer=signs)
        return report(proposal, as_json=as_json, junit=junit, github=github)

    ask(work, actor)


def report(proposal: Proposal, *, as_json: bool, junit: Path | None, github: bool) -> Exit:
    """Say what was found, in every way that was asked for, and return what the shell is told."""
    found = validation(proposal)
    if junit:
        write_junit(junit, found)
    if as_json:
        say_json(found)
    else:
        _show(found)
    if github:
        # JSON on the same stream has to stay JSON: GitHub reads annotations from the other one as well.
        for line in annotations(found):
            typer.echo(line, err=as_json)
    return Exit.DONE if found.passed else Exit.REFUSED


def _show(found: Validation) -> None:
    said = "may be asked for" if found.passed else "would be refused"
    said = f"need not be asked for: {found.nothing_to_do}" if found.passed and found.nothing_to_do else said
    say(
        f"{found.version} of {found.service} in {found.environment} {said}.",
        "bold green" if found.passed else "bold yellow",
    )
    for case in found.cases:
        say(f"  {_mark(case)} {case.name}: {case.sentence}", "yellow" if case.blocks else "")
        if case.output and not case.passed:
            say_lines(f"    {line}" for line in case.output.splitlines())
    if found.risk:
        say(f"  The risk is {found.risk}.")


def _mark(case: ValidationCase) -> str:
    if case.passed:
        return "✓"
    return {Weight.BLOCK: "✗", Weight.WARN: "warning:", Weight.NOTE: "note:"}[case.severity]


def annotations(found: Validation) -> Iterator[str]:
    """Yield a workflow command of GitHub Actions for each case that is not as it should be."""
    where = f"{found.version} of {found.service} in {found.environment}"
    for case in found.cases:
        if not case.passed:
            title = _escaped(f"{case.name}: {where}").replace(":", "%3A").replace(",", "%2C")
            yield f"::{_GITHUB[case.severity]} title={title}::{_escaped(case.sentence)}"


def _escaped(text: str) -> str:
    return plain(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def write_junit(file: Path, found: Validation) -> None:
    """Write a test suite with a test for each case. Raises ``UsageError`` where it cannot be written."""
    suite = ET.Element(
        "testsuite",
        name=f"towpath validate {found.service} {found.version} --to {found.environment}",
        tests=str(len(found.cases)),
        failures=str(sum(case.blocks for case in found.cases)),
        errors="0",
        skipped="0",
    )
    for case in found.cases:
        test = ET.SubElement(
            suite,
            "testcase",
            classname=f"{found.service}.{found.environment}.{case.rule}",
            name=_xml(case.name),
        )
        if case.blocks:
            failure = ET.SubElement(test, "failure", message=_xml(case.sentence), type=case.rule)
            failure.text = _xml(case.sentence)
        elif not case.passed:
            ET.SubElement(test, "system-err").text = _xml(f"{case.severity}: {case.sentence}")
        if case.output:
            ET.SubElement(test, "system-out").text = _xml(case.output)
    root = ET.Element("testsuites", {key: suite.attrib[key] for key in ("tests", "failures", "errors")})
    root.append(suite)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        ET.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        raise UsageError(
            f"The JUnit report could not be written to “{plain(str(file))}”: {error.strerror}. Name a file that "
            "is yours to write."
        ) from error


def _xml(text: str) -> str:
    return text.translate(_NOT_XML)
