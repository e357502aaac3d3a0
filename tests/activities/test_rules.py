"""What every rule must keep. Registering one in ``RULES`` is what puts it under these tests."""

import hashlib
import hmac
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from pydantic import JsonValue, ValidationError

from activities.configuration_folder import inspect_folder, read_folder
from activities.expressions import thinking
from activities.ports import Case, Desk, Judgement
from activities.rules import RULES
from domain.actor import Actor
from domain.dossier import Waypoint, dossier, waypoint
from domain.environment import Absent, Placement
from domain.journal import Receipt, Settled, Soaked
from domain.names import Subject
from domain.outcome import Outcome
from domain.plan import Step, Undo, Verb
from domain.release import Component, Kind, Release
from domain.terms import Request, Story
from tests.activities.artifacts import site

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
PRODUCTION = Subject(service="storefront", environment="production")
SLOW = "import time; print('begun', flush=True); time.sleep(600)"
Written = dict[str, JsonValue]
KEPT_AND_NOT: dict[str, tuple[Written, Written]] = {
    "command": (
        {"command": [sys.executable, "-c", "print('3 passed')"]},
        {"command": [sys.executable, "-c", "print('1 failed'); exit(3)"]},
    ),
    "expression": (
        {"expression": "release.author != request.actor && size(plan.steps) < 10"},
        {"expression": "release.author == request.actor"},
    ),
    "files": ({"files": {"forbid": ["*.pem"], "require": ["index.html"]}}, {"files": {"forbid": ["*.js"]}}),
    "metadata": ({"metadata": {"require": ["author"]}}, {"metadata": {"require": ["author", "notes"]}}),
    "release_size": ({"release_size": {"at_most": "2GB"}}, {"release_size": {"at_most": "1kB"}}),
    "way": ({"way": {"held_for": "1h", "soaked": "full"}}, {"way": {"held_for": "3h"}}),
}


class Office:
    """An HTTP server that is asked for its word, and gives whatever answer it is told to give."""

    def __init__(self) -> None:
        self.answer: tuple[int, bytes] = (200, b'{"pass": true}')
        self.asked: list[tuple[dict[str, str], bytes]] = []
        self.busy_for = 0
        self.open = Event()
        self.open.set()
        office = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                office.asked.append(({name.lower(): text for name, text in self.headers.items()}, body))
                office.open.wait(10)
                busy = len(office.asked) <= office.busy_for
                self.send_response(503 if busy else office.answer[0])
                self.end_headers()
                self.wfile.write(b"" if busy else office.answer[1])

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/word"

    def close(self) -> None:
        self.open.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def office() -> Iterator[Office]:
    built = Office()
    yield built
    built.close()


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """2.0.0 of a storefront, which staging has held for two hours, asks to be let into production."""
    artifact = site(tmp_path, "2.0.0")
    part = Component(name="site", kind=Kind.CONTENT, artifact=artifact.placement.artifact, size=5000, files=3)
    release = Release(
        service="storefront", version="2.0.0", components=(part,), author="ada@example.com", created=NOW
    )
    request = Request(subject=PRODUCTION, version="2.0.0", actor=Actor(name="ana@example.com"))
    placed = artifact.placement.but(release=release.digest())
    step = Step(
        component="site",
        target="directory",
        verb=Verb.PLACE,
        before=Absent(),
        after=placed,
        undo=Undo.RESTORE,
        fenced=True,
        repeatable=True,
    )
    way = (waypoint(release, "staging", [receipt(placed)]),)
    return Case(
        subject=PRODUCTION,
        release=release,
        dossier=dossier(request, release, [step], way, NOW),
        way=way,
        now=NOW,
        artifacts={"site": artifact.file},
        holds=_unasked,
        said=unheard,
    )


def unheard(_line: str) -> None:
    """Nobody listens to what is printed."""


async def _unasked(expression: str) -> tuple[bool | None, str]:
    raise AssertionError(expression)


def receipt(placed: Placement, **changes: object) -> Receipt:
    return Receipt(
        subject=PRODUCTION.but(environment="staging"),
        turn=1,
        story=Story.PROMOTION,
        settled=Settled.DONE,
        outcome=Outcome.PROMOTED,
        release=placed.release,
        before={"site": Absent()},
        after={"site": placed},
        soaked=Soaked.FULL,
        healthy=True,
        actor=Actor(name="ana@example.com"),
        began=NOW - timedelta(hours=2),
        ended=NOW - timedelta(hours=2),
    ).but(**changes)


@pytest.fixture(params=sorted(RULES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def written(kind: str, office: Office) -> tuple[Written, Written]:
    """The settings of a rule that is kept, and of one that is not."""
    if kind == "callback":
        office.answer = (200, b'{"pass": true, "message": "as agreed"}')
        return {"callback": office.address}, {"callback": office.address}
    return KEPT_AND_NOT[kind]


async def judged(kind: str, settings: Written, case: Case, folder: Path, **variables: str) -> Judgement:
    async with thinking(case.dossier) as mind:
        rule = RULES[kind](settings, Desk(folder, variables))
        return await rule.judge(case._replace(holds=mind.think))


async def test_what_is_kept_passes(
    kind: str, written: tuple[Written, Written], case: Case, tmp_path: Path
) -> None:
    """A rule that is kept passes, with a sentence, and passes again."""
    first = await judged(kind, written[0], case, tmp_path)

    assert (first.passed, bool(first.sentence)) == (True, True)
    assert await judged(kind, written[0], case, tmp_path) == first


async def test_what_is_not_kept_is_said(
    kind: str, written: tuple[Written, Written], case: Case, tmp_path: Path, office: Office
) -> None:
    """A rule that is not kept is a finding with a sentence, never an exception."""
    office.answer = (200, b'{"pass": false, "message": "not today"}')

    found = await judged(kind, written[1], case, tmp_path)

    assert not found.passed
    assert found.sentence


def test_a_mistyped_setting_is_found_at_the_door(
    kind: str, written: tuple[Written, Written], tmp_path: Path
) -> None:
    """A key that the rule does not know is refused where people write, and ignored inside."""
    mistyped = written[0] | {"timeoot": "1s"}

    with pytest.raises(ValidationError, match="timeoot"):
        RULES[kind].settings.model_validate(mistyped, extra="forbid")

    RULES[kind](mistyped, Desk(tmp_path, {}))


def test_the_first_setting_has_the_name_of_the_rule(kind: str) -> None:
    """``{release_size: …}`` names the rule and is its setting at once."""
    assert next(iter(RULES[kind].settings.model_fields)) == kind


@pytest.mark.parametrize(
    ("policy", "why"),
    [
        ({"forbid": ["*.JS"]}, "site/assets/app.js"),
        ({"forbid": ["assets/*"]}, "site/assets/app.js, site/assets/deep/style.css"),
        ({"forbid": ["/index.html"]}, "site/index.html"),
        ({"require": ["robots.txt"]}, "no “robots.txt”"),
        ({"require": ["/app.js"]}, "no “/app.js”"),
        ({"largest": "4B"}, "of more than 4 B"),
        ({"forbid": ["/app.js"], "require": ["app.js", "assets/app.js"], "largest": "5B"}, ""),
        ({"forbid": ["*"], "component": "api"}, ""),
    ],
)
async def test_a_file_policy_says_which_file(policy: Written, why: str, case: Case, tmp_path: Path) -> None:
    """Patterns with a slash are of the whole path, others of a name in any folder; case hides no secret."""
    found = await judged("files", {"files": policy}, case, tmp_path)

    assert found.passed is not bool(why)
    assert why in found.sentence


@pytest.mark.parametrize(
    ("changes", "asked", "why"),
    [
        ({}, {"held_for": "2h"}, ""),
        ({}, {"held_for": "121m"}, "for 2h, not 2h1m: ask again in 1m"),
        ({"soaked": Soaked.NONE}, {}, ""),
        ({"soaked": Soaked.NONE}, {"soaked": "full"}, "none at all"),
        ({"soaked": Soaked.CUT}, {"soaked": "full"}, "cut short"),
        ({"healthy": False}, {}, "not healthy in staging"),
        ({}, {"proven": True}, "no check in staging proved"),
        ({}, {"through": ["dev"]}, "does not come from dev"),
    ],
)
async def test_the_way_here_is_read_from_receipts(
    changes: dict[str, object], asked: Written, why: str, case: Case, tmp_path: Path
) -> None:
    """Held long enough, healthy, soaked, proven: exactly what the rule asks, and at the edge."""
    (before,) = case.way
    assert before.receipt
    came = case._replace(way=(waypoint(case.release, "staging", [before.receipt.but(**changes)]),))

    found = await judged("way", {"way": asked}, came, tmp_path)

    assert found.passed is not bool(why)
    assert why in found.sentence


def test_the_way_is_counted_from_when_it_stood_there_without_a_break(case: Case) -> None:
    """What is adopted has stood there, and soaked, since it was let in; what was put away has not."""
    (before,) = case.way
    assert before.receipt
    let_in = before.receipt
    later = let_in.but(turn=2, story=Story.ADOPTION, soaked=Soaked.NONE, ended=NOW)
    away = later.but(after={"site": Absent()})

    assert waypoint(case.release, "staging", [later, let_in])[2:4] == (let_in.ended, Soaked.FULL)
    assert waypoint(case.release, "staging", [later, away, let_in]).since == NOW
    assert waypoint(case.release, "staging", [away, let_in]) == Waypoint("staging", None)


async def test_what_never_stood_before_has_no_way(case: Case, tmp_path: Path) -> None:
    """An environment that does not hold the release vouches for nothing."""
    nowhere = case._replace(way=(Waypoint("staging", None),))

    found = await judged("way", {"way": {}}, nowhere, tmp_path)

    assert not found.passed
    assert "promote it there first" in found.sentence


async def test_tests_that_hang_are_stopped_and_what_they_printed_is_kept(case: Case, tmp_path: Path) -> None:
    """A program past its time has not kept the rule, and its last lines are there to read."""
    hangs = await judged(
        "command", {"command": [sys.executable, "-c", SLOW], "timeout": "1s"}, case, tmp_path
    )

    assert not hangs.passed
    assert "did not end within 1s" in hangs.sentence
    assert hangs.output == "begun"


async def test_tests_are_told_what_they_judge(case: Case, tmp_path: Path) -> None:
    """A program knows the release by its variables, and everything by its stdin."""
    program = (
        "import json, os, sys; told = json.load(sys.stdin); "
        "print(os.environ['TOWPATH_VERSION'], os.environ['TOWPATH_ENVIRONMENT'], told['case']['request']['actor'], "
        "'TOWPATH_CASE' in os.environ)"
    )

    found = await judged("command", {"command": [sys.executable, "-c", program]}, case, tmp_path)

    assert found.output == "2.0.0 production ana@example.com False"


async def test_a_program_that_is_not_there_is_said(case: Case, tmp_path: Path) -> None:
    """Tests that cannot start have not passed."""
    found = await judged("command", {"command": ["./nowhere"]}, case, tmp_path)

    assert not found.passed
    assert "could not be started" in found.sentence


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((200, b'{"pass": "yes"}'), "its answer is not"),
        ((200, b'{"pass": 1}'), "its answer is not"),
        ((200, b"<html>fine</html>"), "its answer is not"),
        ((200, b""), "its answer is not"),
        ((200, b'{"message": "sure"}'), "its answer is not"),
        ((200, b'{"pass": true, "message": "' + b"x" * 70_000 + b'"}'), "more than 64 KiB"),
        ((302, b'{"pass": true}'), "answered 302"),
        ((500, b'{"pass": true}'), "answered 500"),
        ((200, b'{"pass": false, "message": "on\\nholiday"}'), "says no: on holiday"),
    ],
)
async def test_only_a_plain_yes_is_a_yes(
    answer: tuple[int, bytes], why: str, case: Case, office: Office, tmp_path: Path
) -> None:
    """A callback that lies, babbles or redirects has not said yes."""
    office.answer = answer

    found = await judged("callback", {"callback": office.address}, case, tmp_path)

    assert not found.passed
    assert why in found.sentence


async def test_a_callback_that_is_down_blocks_and_says_so(case: Case, office: Office, tmp_path: Path) -> None:
    """Nobody there within the time: the rule is not kept."""
    office.close()

    found = await judged("callback", {"callback": office.address, "timeout": "0.3s"}, case, tmp_path)

    assert not found.passed
    assert "127.0.0.1 could not be asked" in found.sentence


async def test_a_callback_that_never_answers_is_not_waited_for(
    case: Case, office: Office, tmp_path: Path
) -> None:
    """Its time is bounded, and what is bounded is the whole of it."""
    office.open.clear()

    found = await judged("callback", {"callback": office.address, "timeout": "0.3s"}, case, tmp_path)

    assert not found.passed
    assert "no answer within 0.3s" in found.sentence


async def test_a_callback_that_is_busy_is_asked_again(case: Case, office: Office, tmp_path: Path) -> None:
    """A moment's trouble refuses no release."""
    office.busy_for = 1

    found = await judged("callback", {"callback": office.address}, case, tmp_path)

    assert found.passed
    assert len(office.asked) == 2


async def test_a_callback_knows_who_asks(case: Case, office: Office, tmp_path: Path) -> None:
    """The body is signed with a secret that is looked up by reference, and never said."""
    office.answer = (200, b'{"pass": false, "message": "you sent hunter22"}')
    written: Written = {"callback": office.address, "secret": "env:WORD"}

    found = await judged("callback", written, case, tmp_path, WORD="hunter22")

    headers, body = office.asked[0]
    signature = hmac.new(b"hunter22", body, hashlib.sha256).hexdigest()
    assert headers["x-towpath-signature"] == f"sha256={signature}"
    assert json.loads(body)["release"]["version"] == "2.0.0"
    assert "hunter22" not in found.sentence


@pytest.mark.parametrize(
    ("reference", "why"), [("env:WORD", "WORD is not set"), ("file:none", "cannot be read")]
)
async def test_a_secret_that_is_not_there_asks_nobody(
    reference: str, why: str, case: Case, office: Office, tmp_path: Path
) -> None:
    """A callback without its secret is not asked unsigned."""
    found = await judged("callback", {"callback": office.address, "secret": reference}, case, tmp_path)

    assert (found.passed, office.asked) == (False, [])
    assert why in found.sentence


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("callback", {"callback": "ftp://policy.example"}),
        ("callback", {"callback": "https://me:secret@policy.example"}),
        ("callback", {"callback": "https://policy.example", "secret": "hunter22"}),
        ("callback", {"callback": "https://policy.example", "timeout": "10m"}),
        ("files", {"files": {}}),
        ("metadata", {"metadata": {"require": ["autor"]}}),
        ("release_size", {"release_size": {"at_most": "2 parsecs"}}),
        ("release_size", {"release_size": {"at_most": -1}}),
        ("way", {"way": {"soaked": "cut"}}),
        ("expression", {"expression": "release.auhtor == ''"}),
    ],
)
def test_what_can_be_seen_to_be_wrong_is_refused(kind: str, settings: Written) -> None:
    """A rule that could never be kept, or would keep a secret in the open, is found without running it."""
    with pytest.raises(ValidationError):
        RULES[kind].settings.model_validate(settings, extra="forbid")


PAGE = (Path(__file__).parents[2] / "docs/how-to/rules.md").read_text()


def test_what_the_page_shows_can_be_copied(tmp_path: Path) -> None:
    """Every rule, and the environment's whole file, is read without a mistake."""
    first, *lists = re.findall(r"```yaml.*?\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "environments").mkdir()
    (tmp_path / "towpath.yaml").write_text("groups: {release-managers: [a, b, c, d]}\n")
    (tmp_path / "environments/production.yaml").write_text(first)
    rules = textwrap.indent("".join(lists), "  ")
    (tmp_path / "environments/all.yaml").write_text(f"environment: all\nrules:\n{rules}")

    configuration = read_folder(tmp_path, {}, {}, RULES)

    assert {rule.rule for rule in configuration.environments["all"].rules} == set(RULES)


async def test_the_rule_that_the_page_writes_works(case: Case, tmp_path: Path) -> None:
    """A rule of one's own is what the page says it is."""
    (module,) = re.findall(r"```python.*?\n(.*?)```", PAGE, re.DOTALL)
    space: dict[str, Any] = {"__name__": "components"}
    exec(module, space)

    rule = space["ComponentsRule"]({"components": 1}, Desk(tmp_path, {}))

    assert (await rule.judge(case)).sentence == "it has 1 of at most 1 components"


def test_a_broken_rule_is_told_with_file_line_and_key(tmp_path: Path) -> None:
    """Kinds, keys, settings and expressions, in rules and in the table of risks."""
    (tmp_path / "environments").mkdir()
    (tmp_path / "towpath.yaml").write_text("groups: {}\n")
    (tmp_path / "environments/dev.yaml").write_text(
        """environment: dev
risk:
  high: ["release.auhtor == ''"]
rules:
  - expression: "release.author =="
  - release_sise: {at_most: 1GB}
  - metadata: {require: [author]}
    severity: blok
  - {metadata: {require: [notes]}, way: {}}
  - files: {forbit: [a]}
  - none
"""
    )

    told = [str(mistake) for mistake in inspect_folder(tmp_path, {}, {}, RULES).mistakes]

    places = [" ".join(one.split(" ")[:2]) for one in told]
    assert places == [
        "environments/dev.yaml:3: risk.high[0]:",
        "environments/dev.yaml:5: rules[0].expression:",
        "environments/dev.yaml:6: rules[1]:",
        "environments/dev.yaml:8: rules[2].severity:",
        "environments/dev.yaml:9: rules[3]:",
        "environments/dev.yaml:10: rules[4].files.forbit:",
        "environments/dev.yaml:11: rules[5]:",
    ]
    assert "did you mean author?" in told[0]
    assert "did you mean release_size?" in told[2]
    assert "did you mean block?" in told[3]
