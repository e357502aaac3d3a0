"""The http check, beyond what every check keeps: what counts as well, and what proves the revision."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import JsonValue, ValidationError

from activities import matching
from activities.checks.http import HttpCheck, HttpSettings
from activities.health import looked_for
from activities.ports import Expected, Finding
from domain.environment import Absent, Holding, Placement
from domain.fence import Fence
from domain.marker import MARKER_PATH, marker
from domain.terms import CheckTerms
from tests.activities.answers import Answer, Site, as_json
from tests.activities.artifacts import COMPONENT, SUBJECT

HELD = Placement(
    version="1.0.0", release=f"sha256:{'a' * 64}", artifact=f"sha256:{'b' * 64}", fence=Fence(turn=5, act=1)
)
WELL_KNOWN = f"/{MARKER_PATH}"

Look = Callable[..., Awaitable[Finding]]


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    site.answers["/"] = Answer(body=b"<h1>Shop</h1>", headers={"X-Frame-Options": "DENY"})
    yield site
    site.close()


@pytest.fixture
def look(site: Site) -> Look:
    """Look at a path of the site with these settings, expecting ``HELD``."""

    async def look(path: str = "/", component: str | None = None, **settings: JsonValue) -> Finding:
        check = HttpCheck({"http": site.address + path, **settings}, Path())
        began = datetime(2026, 1, 1, tzinfo=UTC)
        return await check.look(Expected(subject=SUBJECT, component=component, holding=HELD, began=began))

    return look


def _marked(**changes: JsonValue) -> Answer:
    placed = marker(SUBJECT, COMPONENT, HELD, Fence(turn=5, act=1))
    return as_json(placed.model_dump(mode="json") | changes)


WELL: list[dict[str, JsonValue]] = [
    {},
    {"status": [200, 204]},
    {"body": "Shop"},
    {"matches": "<h1>.*</h1>"},
    {"headers": {"x-frame-options": "DENY"}},
    {"latency": "10s"},
]
UNWELL: list[tuple[dict[str, JsonValue], str]] = [
    ({"status": 204}, "answered 200, not 204"),
    ({"status": [204, 301]}, "not 204 or 301"),
    ({"body": "Closed"}, "without “Closed”"),
    ({"matches": "^Shop"}, "without a match of “^Shop”"),
    ({"headers": {"X-Frame-Options": "SAMEORIGIN"}}, "with X-Frame-Options: DENY, not SAMEORIGIN"),
    ({"headers": {"X-None": "yes"}}, "with X-None: nothing, not yes"),
    ({"latency": "0s"}, "more than 0 ms"),
]


@pytest.mark.parametrize("settings", WELL, ids=str)
async def test_a_condition_that_holds_passes(look: Look, settings: dict[str, JsonValue]) -> None:
    """What the answer is asked to be, it is."""
    assert (await look(**settings)).passed


@pytest.mark.parametrize(("settings", "why"), UNWELL, ids=[why for _, why in UNWELL])
async def test_a_condition_that_fails_says_which(
    look: Look, settings: dict[str, JsonValue], why: str
) -> None:
    """What the answer is asked to be and is not, is in the sentence."""
    found = await look(**settings)

    assert not found.passed
    assert why in found.sentence


async def test_a_pattern_without_an_end_is_no_match(
    look: Look, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pattern that takes years on some answer holds up nobody, and is told."""
    monkeypatch.setattr(matching, "LONGEST_SEARCH", timedelta(seconds=0.4))
    site.answers["/"] = Answer(body=b"a" * 50 + b"!")
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)
            beats += 1

    beating = asyncio.create_task(beat())
    found = await look(matches="(a+)+$")
    beating.cancel()

    assert not found.passed
    assert "could not be searched for “(a+)+$”; write a simpler pattern" in found.sentence
    assert beats > 10


async def test_an_answer_as_deep_as_a_well_names_nothing(look: Look, site: Site) -> None:
    """What is nested without end is no proof, and no fault of the worker's."""
    site.answers["/"] = Answer(body=b"[" * 200_000)

    found = await look(proves={"json": "build"})

    assert not found.passed
    assert "without the JSON path build" in found.sentence


async def test_the_marker_proves_the_revision(look: Look, site: Site) -> None:
    """A marker of this release, by this deed, passes and proves."""
    site.answers[WELL_KNOWN] = _marked()

    found = await look(component=COMPONENT)

    assert (found.passed, found.proven) == (True, True)


UNPROVEN = {
    "not there": Answer(404),
    "forbidden": Answer(403),
    "a page for everything": Answer(body=b"<h1>Shop</h1>"),
    "a redirect to sign in": Answer(302, headers={"Location": "/sign-in"}),
    "of another component": _marked(component="api"),
}


@pytest.mark.parametrize("answer", UNPROVEN.values(), ids=UNPROVEN.keys())
async def test_without_a_marker_the_revision_is_unproven(look: Look, site: Site, answer: Answer) -> None:
    """A service that has no marker to show may be well; which revision answered is then not proven."""
    site.answers[WELL_KNOWN] = answer

    found = await look(component=COMPONENT)

    assert (found.passed, found.proven) == (True, False)
    assert "unproven" in found.sentence


DISPROVEN = {
    "another release": (_marked(release=f"sha256:{'c' * 64}", version="0.9.0"), "names 0.9.0 (cccccccc)"),
    "another artifact": (_marked(artifact=f"sha256:{'c' * 64}"), "not 1.0.0"),
    "another environment": (_marked(environment="staging"), "storefront in staging, not storefront in dev"),
    "an earlier turn": (_marked(turn=4, act=9), "deed 4.9, before deed 5.1"),
    "an earlier act": (_marked(act=0), "deed 5.0, before deed 5.1"),
    "a server in trouble": (Answer(502), "answered 502"),
}


@pytest.mark.parametrize(("answer", "why"), DISPROVEN.values(), ids=DISPROVEN.keys())
async def test_a_marker_of_something_else_does_not_pass(
    look: Look, site: Site, answer: Answer, why: str
) -> None:
    """Though the page is well, an answer that was not given by what was just placed is not its health."""
    site.answers[WELL_KNOWN] = answer

    found = await look()

    assert (found.passed, found.proven) == (False, False)
    assert why in found.sentence


async def test_a_later_deed_of_the_same_release_proves_it_too(look: Look, site: Site) -> None:
    """An undo puts the same content under a newer fence: that is what should stand there."""
    site.answers[WELL_KNOWN] = _marked(turn=6)

    assert (await look()).proven


@pytest.mark.parametrize("proves", [None, {"header": "X-Revision"}])
async def test_of_several_components_whichever_answers_is_held_to_its_own_release(
    site: Site, proves: JsonValue
) -> None:
    """A check of no component in particular does not take one component's answer for a wrong one of another's."""
    api = HELD.but(version="1.1.0", release=f"sha256:{'d' * 64}", artifact=f"sha256:{'e' * 64}")
    site.answers["/"] = Answer(headers={"X-Revision": "1.1.0"})
    site.answers[WELL_KNOWN] = as_json(
        marker(SUBJECT, "api", api, Fence(turn=5, act=1)).model_dump(mode="json")
    )
    check = HttpCheck({"http": f"{site.address}/", "proves": proves}, Path())
    stands: dict[str, Holding] = {"docs": Absent(), COMPONENT: HELD, "api": api}

    found = await check.look(_any_of(stands))
    other = await check.look(_any_of(stands | {"api": HELD}))

    assert (found.passed, found.proven) == (True, True), found.sentence
    assert not other.passed


def _any_of(stands: dict[str, Holding]) -> Expected:
    component, holding, beside = looked_for(CheckTerms(check="http"), stands)
    return Expected(SUBJECT, component, holding, datetime(2026, 1, 1, tzinfo=UTC), beside=beside)


async def test_the_marker_is_asked_for_at_the_origin(look: Look, site: Site) -> None:
    """Whatever path and query are checked, the marker is the origin's, without them."""
    site.answers |= {"/health/live?full=1": Answer(), WELL_KNOWN: _marked()}

    assert (await look("/health/live?full=1#top")).proven
    assert site.asked == ["/health/live?full=1", WELL_KNOWN]


NAMED = ["1.0.0", f"sha256:{'a' * 64}", "aaaaaaaa", "b" * 64]


@pytest.mark.parametrize("named", NAMED)
async def test_a_header_may_prove_the_revision(look: Look, site: Site, named: str) -> None:
    """A header that names the version, or a digest by eight digits or more, is proof enough."""
    site.answers["/"] = Answer(headers={"X-Release": named})

    found = await look(proves={"header": "x-release"})

    assert (found.passed, found.proven) == (True, True)
    assert site.asked == ["/"]


@pytest.mark.parametrize("named", NAMED)
async def test_a_json_path_may_prove_the_revision(look: Look, site: Site, named: str) -> None:
    """So is a place in the answer's JSON, through objects and lists."""
    site.answers["/"] = as_json({"apps": [{"build": {"version": named}}]})

    assert (await look(proves={"json": "apps.0.build.version"})).proven


@pytest.mark.parametrize(
    "content", [{"build": "0.9.0"}, {"build": "aaaa"}, {"build": {}}, {}, [], "build", None]
)
async def test_a_proof_that_was_promised_must_come(look: Look, site: Site, content: JsonValue) -> None:
    """Where the answer is to name its revision, one that names none or another does not pass."""
    site.answers["/"] = as_json(content)

    found = await look(proves={"json": "build"})

    assert (found.passed, found.proven) == (False, False)


async def test_redirects_are_not_followed(look: Look, site: Site) -> None:
    """A redirect is an answer like any other, and the sentence says where it leads."""
    site.answers["/"] = Answer(302, headers={"Location": "https://elsewhere.example/"})

    found = await look()

    assert not found.passed
    assert "302, a redirect to https://elsewhere.example/" in found.sentence
    assert site.asked == ["/"]


async def test_a_body_is_read_to_a_limit(look: Look, site: Site) -> None:
    """Of an endless body one MiB is read, and the sentence says so."""
    site.answers["/"] = Answer(body=b"x" * (1 << 20) + b"Shop", endless=True)

    found = await look(body="Shop")

    assert not found.passed
    assert "the first 1 MiB" in found.sentence


async def test_a_service_that_does_not_answer_is_unwell(look: Look, site: Site) -> None:
    """A look takes no longer than its timeout."""
    closing = threading.Event()
    site.answers["/"] = Answer(before=closing.wait)

    found = await look(timeout="0s")
    closing.set()

    assert not found.passed
    assert "did not answer within" in found.sentence


async def test_a_service_that_is_not_there_is_unwell(look: Look, site: Site) -> None:
    """A refused connection is a sentence with the address in it."""
    site.close()

    found = await look()

    assert not found.passed
    assert f"{site.address}/ could not be asked" in found.sentence


async def test_proxies_of_the_worker_are_not_asked(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service itself answers, not a proxy that may know an older answer."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")

    assert (await look()).passed


MISTAKES: list[tuple[dict[str, JsonValue], str]] = [
    ({"http": "shop.example"}, "is not an address such as https"),
    ({"http": "ftp://shop.example"}, "is not an address such as https"),
    ({"http": "http://a/", "status": 42}, "greater than or equal to 100"),
    ({"http": "http://a/", "matches": "("}, "is not a regular expression"),
    ({"http": "http://a/", "proves": {}}, "either the header or the JSON path"),
    ({"http": "http://a/", "proves": {"header": "a", "json": "b"}}, "either the header or the JSON path"),
    ({"http": "http://a/", "timeout": "soon"}, "is not a duration"),
]


@pytest.mark.parametrize(("written", "why"), MISTAKES, ids=[str(written) for written, _ in MISTAKES])
def test_a_mistake_is_a_sentence(written: dict[str, JsonValue], why: str) -> None:
    """What people can get wrong is said in words where they write it."""
    with pytest.raises(ValidationError, match=why):
        HttpSettings.model_validate(written, extra="forbid")
