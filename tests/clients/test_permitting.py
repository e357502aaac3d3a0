"""``can``: the rule, its file and line; and what a quarantine by somebody who may not is told."""

import json
from pathlib import Path

import pytest

from tests.clients.conftest import CommandLine

PRODUCTION = """\
environment: production
approval: {quorum: 1, from: [managers], signed: true, escalate: [{after: 4h, to: [leads]}]}
hotfix: {from: [on-call]}
break_glass: {from: [on-call], skips: [windows], review: [managers]}
override: {from: [on-call], longest: 2h}
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
        "towpath.yaml": (
            "groups:\n  developers: [ada@example.com, ben@example.com]\n  managers: [grace@example.com]\n"
            "  leads: [lea@example.com]\n  on-call: [ada@example.com, otto@example.com]\n"
        ),
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
        (
            "lea@example.com approve storefront production",
            0,
            "nobody has decided for 4h: its approvers are grace@example.com, then leads (lea@example.com) (env",
        ),
        ("otto@example.com approve storefront production", 10, "; of a hotfix their word counts (environ"),
        (
            "ada@example.com hotfix storefront production",
            0,
            "it takes 1 of: ada@example.com, otto@example.com (env",
        ),
        (
            "otto@example.com hotfix storefront production",
            10,
            "ben@example.com (environments/production.yaml:7)",
        ),
        (
            "ada@example.com break-glass storefront production",
            0,
            "past windows: those who may are ada@example.com",
        ),
        (
            "ben@example.com break-glass storefront production",
            10,
            "ada@example.com, otto@example.com (environments/production.yaml:4)",
        ),
        (
            "otto@example.com override storefront production",
            0,
            "past gates for 2h at most: those who may are",
        ),
        (
            "ben@example.com override storefront production",
            10,
            "may not override gates here; those who may: ada",
        ),
        (
            "grace@example.com review storefront production",
            0,
            "its reviewers are grace@example.com, though never",
        ),
        (
            "ben@example.com review storefront production",
            10,
            "its reviewers are grace@example.com (environments/",
        ),
        (
            "grace@example.com quarantine storefront production",
            0,
            "gives the role administer to grace@example.com",
        ),
        ("ada@example.com review production", 2, "review is about one service"),
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
    assert (found["file"], found["line"]) == ("environments/production.yaml", 8)


async def test_config_show_names_the_roles_and_where_they_were_written(folder: CommandLine) -> None:
    ran = await folder.type("config", "show", "storefront", "production")

    assert "environments/production.yaml:8" in ran.said
    assert "services/storefront.yaml:6" in ran.said


async def test_a_way_that_nobody_offers_is_said_to_be_none(folder: CommandLine) -> None:
    """With what would have to be written, and where."""
    file = folder.folder / "environments/production.yaml"
    file.write_text("environment: production\n")

    said = {
        verb: (await folder.type("can", "ada@example.com", verb, "storefront", "production")).said
        for verb in ("hotfix", "break-glass", "override", "review")
    }

    assert "its file names none under hotfix" in said["hotfix"]
    assert "its file names nobody under break_glass" in said["break-glass"]
    assert "those who may: nobody" in said["override"]
    assert "so there is nothing to review" in said["review"]
