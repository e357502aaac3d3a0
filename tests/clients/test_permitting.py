"""``can``: the rule, its file and line; and what a quarantine by somebody who may not is told."""

import json
from pathlib import Path

import pytest

from tests.clients.conftest import CommandLine

PRODUCTION = """\
environment: production
approval: {quorum: 1, from: [managers], signed: true}
roles:
  request: {from: [developers]}
  freeze: {people: [olga@example.com]}
  administer: {from: [managers]}
"""
SERVICE = """\
service: storefront
components: {site: {kind: content}}
environments:
  production:
    site: {target: directory, root: live}
    roles: {request: {people: [ada@example.com]}}
"""


@pytest.fixture
def folder(offline: CommandLine) -> CommandLine:
    files = {
        "towpath.yaml": "groups: {developers: [ada@example.com, ben@example.com], managers: [grace@example.com]}\n",
        "allowed_signers": "*@example.com ssh-ed25519 AAAA\n",
        "environments/production.yaml": PRODUCTION,
        "services/storefront.yaml": SERVICE,
    }
    for name, text in files.items():
        file: Path = offline.folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return offline


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("ada@example.com promote storefront production", 0, "(services/storefront.yaml:6)."),
        (
            "ben@example.com promote storefront production",
            10,
            "to ada@example.com (services/storefront.yaml:6)",
        ),
        (
            "ben@example.com freeze production",
            10,
            "production.yaml gives the role freeze to olga@example.com",
        ),
        ("grace@example.com thaw production", 0, "It counts only with their own signature"),
        ("ben@example.com skip storefront production", 0, "so everybody has it"),
        ("ada@example.com approve storefront production", 10, "its approvers are grace@example.com"),
        ("grace@example.com reject storefront production", 0, "its approvers are grace@example.com"),
        ("ada@example.com hold production", 2, "hold is about one service"),
        ("ada@example.com holt storefront production", 2, "did you mean hold?"),
        ("ada@example.com hold storefornt production", 2, "did you mean storefront?"),
        ("ada@example.com hold storefront", 2, "There is no environment “storefront”"),
    ],
)
async def test_it_says_who_may_and_by_which_rule(
    folder: CommandLine, words: str, code: int, said: str
) -> None:
    ran = await folder.type("can", *words.split())

    assert (ran.code, said in ran.said) == (code, True), ran.said


async def test_a_program_reads_the_rule_with_its_file_and_line(folder: CommandLine) -> None:
    ran = await folder.type("can", "ben@example.com", "freeze", "production", "--json")

    found = json.loads(ran.out)
    assert (ran.code, found["allowed"], found["role"], found["signed"]) == (10, False, "freeze", True)
    assert (found["file"], found["line"]) == ("environments/production.yaml", 5)


async def test_config_show_names_the_roles_and_where_they_were_written(folder: CommandLine) -> None:
    ran = await folder.type("config", "show", "storefront", "production")

    assert "environments/production.yaml:5" in ran.said
    assert "services/storefront.yaml:6" in ran.said
