"""Configuration that the command line writes: whole, commented, and never over what is there."""

import asyncio
import json
import os
import pty
from pathlib import Path
from typing import Any

import pytest

from domain.outcome import Exit
from tests.clients.conftest import TOWPATH, CommandLine
from tests.people import People, needs_openssh


async def test_what_is_scaffolded_passes_the_check(offline: CommandLine) -> None:
    """A folder from `config init`, an environment and services of every target are no mistake."""
    road = ("--environments", "dev,production")
    typed = [
        ("config", "init"),
        ("environment", "new", "production", "--soak", "10m", "--quorum", "0"),
        (
            "service",
            "new",
            "shop",
            "--component",
            "site=content",
            "--health",
            "http://127.0.0.1:1/{environment}",
            *road,
        ),
        ("service", "new", "api", "--component", "app=application", "--component", "db=settings", *road),
        ("service", "new", "batch", "--component", "job=flags", "--target", "command", *road),
        ("config", "check"),
    ]

    ran = [await offline.type(*words) for words in typed]

    assert [(one.code, one.err) for one in ran] == [(Exit.DONE, "")] * len(typed)
    assert "3 services and 2 environments" in ran[-1].said
    assert "http://127.0.0.1:1/production" in (offline.folder / "services/shop.yaml").read_text()


@needs_openssh
async def test_an_approver_whose_key_was_revoked_is_warned_of(offline: CommandLine, tmp_path: Path) -> None:
    """Nothing is wrong yet: another can approve."""
    people = People(tmp_path / "people")
    for words in (("config", "init"), ("service", "new", "shop", "--component", "site=content")):
        await offline.type(*words)
    (offline.folder / "towpath.yaml").write_text("groups: {approvers: [ana@example.com, bo@example.com]}\n")
    (offline.folder / "environments/dev.yaml").write_text(
        "environment: dev\napproval: {quorum: 1, from: [approvers], signed: true}\n"
    )
    people.allow(offline.folder, {name: name for name in ("ana@example.com", "bo@example.com")})
    people.revoke(offline.folder, "bo@example.com")

    ran = await offline.type("config", "check")

    assert ran.code == Exit.DONE
    assert (
        "– configuration: environments/dev.yaml:2: approval.signed: bo@example.com cannot sign any more"
        in ran.said
    )
    assert "ana@example.com cannot" not in ran.said


async def test_nothing_is_written_over(offline: CommandLine) -> None:
    """What is there stays to the byte, whichever verb meets it."""
    await offline.type("config", "init")
    await offline.type("service", "new", "shop", "--component", "site=content")
    kept = {}
    for file in ("towpath.yaml", "environments/dev.yaml", "services/shop.yaml"):
        kept[file] = (offline.folder / file).read_text() + "# mine\n"
        (offline.folder / file).write_text(kept[file])

    again = await offline.type("config", "init")
    service = await offline.type("service", "new", "shop", "--component", "site=content")
    environment = await offline.type("environment", "new", "dev")

    assert again.code == Exit.DONE
    assert "services/shop.yaml is there already" in service.said
    assert "environments/dev.yaml is there already" in environment.said
    assert (service.code, environment.code) == (Exit.USAGE, Exit.USAGE)
    assert {file: (offline.folder / file).read_text() for file in kept} == kept


SHOP = """\
# The shop, by the shop's people.
service: shop
environments:  # the road
  dev:
    site: {target: directory, root: "live/dev"}  # quoted
    health:
      - {http: "http://127.0.0.1:1/"}  # near
  test:
    after: [dev]
    site: {target: directory, root: live/test}
    health: [{http: "http://127.0.0.1:1/"}]
components:
  site: {kind: content}  # pages
"""


async def test_the_order_of_a_road_is_not_guessed(offline: CommandLine) -> None:
    """By their names, production would come before staging."""
    await offline.type("config", "init")
    for name in ("staging", "production"):
        await offline.type("environment", "new", name)
    words = ("service", "new", "shop", "--component", "site=content")

    guessed = await offline.type(*words)
    said = await offline.type(*words, "--environments", "dev,staging,production")

    assert guessed.code == Exit.USAGE
    assert "In which order does a release go through dev, production, staging?" in guessed.err
    assert said.code == Exit.DONE
    assert "Its road: dev → staging → production" in said.out


async def test_an_environment_joins_a_road(offline: CommandLine) -> None:
    """Every line of the service's file is still there, in order; the new environment comes after the last."""
    await offline.type("config", "init")
    (offline.folder / "services/shop.yaml").write_text(SHOP)
    (offline.folder / "environments/test.yaml").write_text("environment: test\n")

    ran = await offline.type("environment", "new", "production", "--service", "shop")

    text = (offline.folder / "services/shop.yaml").read_text()
    assert (ran.code, ran.err) == (Exit.DONE, "")
    assert [line for line in text.splitlines() if line in SHOP.splitlines()] == SHOP.splitlines()
    assert "after: [test]" in text
    assert "root: live/shop/production" in text
    assert '# health: [{"http": "http://127.0.0.1:1/"}]' in text
    assert "Nothing looks whether production is well yet" in ran.said
    assert (await offline.type("config", "check")).code == Exit.DONE


async def test_an_environment_that_joins_a_road_is_looked_after(offline: CommandLine) -> None:
    """Checks that name the last environment are copied by the new name; else by --health."""
    await offline.type("config", "init")
    named = ("--component", "site=content", "--health", "http://127.0.0.1:1/{environment}/shop-dev")
    await offline.type("service", "new", "shop", *named)
    asked = ("--service", "shop", "--health", "http://127.0.0.1:2/{environment}")

    copied = await offline.type("environment", "new", "staging", "--service", "shop")
    said = await offline.type("environment", "new", "production", *asked)

    text = (offline.folder / "services/shop.yaml").read_text()
    assert "Nothing looks" not in copied.said + said.said
    assert "http://127.0.0.1:1/staging/shop-dev" in text
    assert "http://127.0.0.1:2/production" in text
    assert (await offline.type("config", "check")).code == Exit.DONE


@pytest.mark.parametrize(
    ("words", "mark"),
    [
        (("service", "new"), "There is no terminal to ask on: write a NAME"),
        (("service", "new", "x"), "write --component NAME=KIND"),
        (("service", "new", "x", "--component", "a=contnt"), "did you mean content?"),
        (
            ("service", "new", "x", "--component", "a=content", "--target", "directry"),
            "did you mean directory?",
        ),
        (("service", "new", "x", "--component", "a=content", "--environments", "dve"), "did you mean dev?"),
        (("environment", "new", "p", "--from", "nobody"), "Nothing was written"),
        (("environment", "new", "p", "--soak", "soon"), "Nothing was written"),
        (("environment", "new", "a b"), "cannot be the name of an environment"),
        (("config", "schema", "servce"), "did you mean service?"),
    ],
)
async def test_what_would_be_a_mistake_is_not_written(
    offline: CommandLine, words: tuple[str, ...], mark: str
) -> None:
    """The reason is said in a sentence, and no file is left."""
    await offline.type("config", "init")
    before = _files(offline.folder)

    ran = await offline.type(*words)

    assert ran.code == Exit.USAGE
    assert mark in ran.said
    assert _files(offline.folder) == before


def _files(folder: Path) -> set[str]:
    return {str(file) for file in folder.rglob("*") if file.is_file()}


async def test_editors_are_given_the_schemas(offline: CommandLine) -> None:
    """Each file names its schema, which is there; keys of targets and checks are in it, and durations as written."""
    await offline.type("config", "init")
    await offline.type("service", "new", "shop", "--component", "site=content")

    for file in ("towpath.yaml", "environments/dev.yaml", "services/shop.yaml"):
        hint = (offline.folder / file).read_text().splitlines()[0].partition("$schema=")[2]
        assert json.loads(((offline.folder / file).parent / hint).read_text())["type"] == "object"
    service: dict[str, Any] = json.loads((await offline.type("config", "schema", "service")).out)
    place = service["properties"]["environments"]["additionalProperties"]
    forms = [one for one in place["additionalProperties"]["anyOf"] if "target" in one["properties"]]
    targets = {one["properties"]["target"]["const"]: one for one in forms}
    checks = place["properties"]["health"]["items"]["anyOf"]
    assert targets["command"]["properties"]["timeout"]["default"] == "10m"
    assert targets["directory"]["additionalProperties"] is False
    assert all({"within", "every", "component"} <= check["properties"].keys() for check in checks)
    assert service["additionalProperties"] is False


async def test_schemas_of_another_towpath_are_told_and_made_anew(offline: CommandLine) -> None:
    """`config check` says which lag behind, and does not fail for it; `config init` makes those anew."""
    await offline.type("config", "init")
    schema = offline.folder / ".schemas/service.json"
    fresh = schema.read_text()
    schema.write_text("{}")
    before = _files(offline.folder)

    stale = await offline.type("config", "check")
    again = await offline.type("config", "init")
    checked = await offline.type("config", "check")

    assert stale.code == Exit.DONE
    assert ".schemas/service.json: of another Towpath" in stale.said
    assert (again.code, schema.read_text()) == (Exit.DONE, fresh)
    assert "of another Towpath" not in checked.said
    assert _files(offline.folder) == before


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_shells_complete_the_verbs(offline: CommandLine, shell: str) -> None:
    """`towpath pro` and a tab is `promote`, in each shell."""
    offline.set(
        _TOWPATH_COMPLETE=f"complete_{shell}",
        COMP_WORDS="towpath pro",
        COMP_CWORD="1",
        _TYPER_COMPLETE_ARGS="towpath pro",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )

    ran = await offline.run(program=TOWPATH)

    assert "promote" in ran.out
    assert "rollback" not in ran.out


PRODUCTION = """\
environment: production
approval: {quorum: 2, from: [people], wait: 1d}
soak: 30m
"""
STRICTER = """\
service: shop
components: {site: {kind: content}}
environments:
  production:
    site: {target: directory, root: live}
    health:
      - {http: "http://127.0.0.1:1/", within: 20s}
    approval: {wait: 2h}
"""


async def test_what_holds_is_shown_with_its_origin(offline: CommandLine) -> None:
    """The floor and the stricter word hold, each from the line that says so; the rest is default."""
    await offline.type("config", "init")
    (offline.folder / "towpath.yaml").write_text("groups: {people: [ana, bo, cy]}\n")
    (offline.folder / "environments/production.yaml").write_text(PRODUCTION)
    (offline.folder / "services/shop.yaml").write_text(STRICTER)

    ran = await offline.type("config", "show", "shop", "production", "--json")
    table = await offline.type("config", "show", "shop", "production")
    astray = await offline.type("config", "show", "shop", "dev")

    shown = {
        one["key"]: (one["value"], f"{one['file']}:{one['line']}") for one in json.loads(ran.out)["values"]
    }
    floor, own = "environments/production.yaml", "services/shop.yaml"
    assert shown["soak"] == ("30m", f"{floor}:3")
    assert shown["approval.quorum"] == (2, f"{floor}:2")
    assert shown["approval.wait"] == ("2h", f"{own}:8")
    assert shown["approval.people"] == (["ana", "bo", "cy"], "towpath.yaml:1")
    assert shown["site.root"] == ("live", f"{own}:5")
    assert shown["site.keep"] == (5, ":0")
    assert shown["health[0].within"] == ("20s", f"{own}:7")
    assert shown["health[0].every"] == ("1s", ":0")
    assert shown["hold_limit"] == ("4h", ":0")
    assert f"{own}:8" in table.said
    assert "does not go to “dev”" in astray.said


async def test_a_key_is_made_where_its_worker_will_run(offline: CommandLine) -> None:
    """The private half is for the worker's user alone, the public one is published; a second run changes nothing."""
    await offline.type("config", "init")
    key = offline.folder / ".towpath/keys/dev.pem"
    file = offline.folder / "environments/dev.yaml"

    made = await offline.type("environment", "key", "dev")
    kept = key.read_text(), file.read_text()
    again = await offline.type("environment", "key", "dev")

    assert (made.code, again.code) == (Exit.DONE, Exit.DONE)
    assert str(key) in made.said
    assert key.stat().st_mode & 0o777 == 0o600
    assert "key: ed25519:" in kept[1]
    assert (key.read_text(), file.read_text()) == kept


async def test_a_key_that_is_elsewhere_is_not_made_again(offline: CommandLine) -> None:
    """Where the public half is known and the private one is not here, nothing is made: it would unmake all seals."""
    await offline.type("config", "init")
    await offline.type("environment", "key", "dev")
    (offline.folder / ".towpath/keys/dev.pem").unlink()

    ran = await offline.type("environment", "key", "dev")
    unknown = await offline.type("environment", "key", "prod")

    assert (ran.code, unknown.code) == (Exit.USAGE, Exit.USAGE)
    assert "The private key of dev is not in" in ran.said
    assert "There is no environment “prod”" in unknown.said
    assert not (offline.folder / ".towpath/keys/dev.pem").exists()


class Terminal:
    """A command on a terminal of its own, as a person sits before it."""

    def __init__(self, offline: CommandLine) -> None:
        self._offline = offline
        self._mine, self._its = pty.openpty()
        self.said = ""

    async def type(self, *words: str, answers: dict[str, str]) -> int:
        """Run it, answer each question when it is asked, and return how it ended."""
        process = await asyncio.create_subprocess_exec(
            *(str(TOWPATH), *words),
            cwd=self._offline.folder,
            stdin=self._its,
            stdout=self._its,
            stderr=self._its,
        )
        os.close(self._its)
        for question, answer in answers.items():
            await self._read_until(question)
            os.write(self._mine, f"{answer}\n".encode())
        code = await asyncio.wait_for(process.wait(), 40)
        await self._read_until(None)
        os.close(self._mine)
        return code

    async def _read_until(self, mark: str | None) -> None:
        async with asyncio.timeout(40):
            while mark is None or mark not in self.said:
                try:
                    piece = await asyncio.to_thread(os.read, self._mine, 4096)
                except OSError:  # what a terminal says when its other end is gone
                    return
                if not piece:
                    return
                self.said += piece.decode()


@pytest.mark.processes
async def test_what_is_missing_is_asked_for_on_a_terminal(offline: CommandLine) -> None:
    """Without words a person is asked, and what was answered is made; whoever ends the input makes nothing."""
    await offline.type("config", "init")
    shop, production, stopped = Terminal(offline), Terminal(offline), Terminal(offline)

    made = await shop.type(
        *("service", "new"),
        answers={"What is the service called?": "shop", "What is it made of": "site=content"},
    )
    added = await production.type("environment", "new", answers={"called?": "production"})
    before = _files(offline.folder)
    ended = await stopped.type("service", "new", answers={"called?": "\x04"})

    assert (made, added, ended) == (Exit.DONE, Exit.DONE, 130), shop.said + production.said + stopped.said
    assert "services/shop.yaml" in shop.said
    assert "site: {kind: content}" in (offline.folder / "services/shop.yaml").read_text()
    assert (offline.folder / "environments/production.yaml").is_file()
    assert _files(offline.folder) == before


@pytest.mark.processes
async def test_a_wrong_answer_on_a_terminal_is_told_in_words(offline: CommandLine) -> None:
    """Nothing is written of it."""
    await offline.type("config", "init")
    before, terminal = _files(offline.folder), Terminal(offline)

    code = await terminal.type("service", "new", answers={"called?": "no good name"})

    assert code == Exit.USAGE
    assert "cannot be the name of a service" in " ".join(terminal.said.split())
    assert _files(offline.folder) == before
