"""The templates in deploy/ci fit what GitHub and GitLab take, and say to the program what it takes."""

import shlex
import subprocess
from collections.abc import Iterator
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from tests.test_deploy import BIN, DEPLOY, parsed

CI: Final = DEPLOY / "ci"
SCHEMAS: Final = {"github-actions.yml": "vendor.github-workflows", "gitlab-ci.yml": "vendor.gitlab-ci"}


def read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load((CI / name).read_text())
    return content


def scripts(name: str) -> Iterator[str]:
    """Yield every command of a template, in the order that they are run."""
    content = read(name)
    for job in content.get("jobs", {}).values():
        yield from (step["run"] for step in job["steps"] if "run" in step)
    for job in content.values():
        yield from job.get("script", ()) if isinstance(job, dict) else ()


def test_there_is_no_template_that_nobody_lints() -> None:
    """A template for another CI needs its schema here."""
    assert {file.name for file in CI.iterdir()} == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_template_is_linted(name: str) -> None:
    """The CI's own schema has nothing against it."""
    linter = (BIN / "check-jsonschema", "--builtin-schema", SCHEMAS[name], CI / name)

    ran = subprocess.run(list(map(str, linter)), capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_a_template_types_can_be_typed(name: str) -> None:
    """It builds, makes the release, validates it and follows its promotion, in words that the program takes."""
    first, *rest = scripts(name)
    typed = [shlex.split(line) for line in rest]

    assert first == "make build"
    assert {words[0] for words in typed} == {"towpath"}
    assert [" ".join(words[1:3]).split(" $")[0] for words in typed] == [
        "release create",
        "validate",
        "promote",
    ]
    release, validated, promoted = (parsed(words[1:]) for words in typed)
    assert release["version"] == validated["version"] == promoted["version"]
    assert validated["environment"] == promoted["environment"] == "$FIRST"
    assert str(validated["junit"]) == "validation.xml"
    assert promoted["watch"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_template_keeps_its_report_where_validation_fails(name: str) -> None:
    """That is when it is wanted."""
    text = (CI / name).read_text()

    assert ("if: always()" in text) or ("when: always" in text)
