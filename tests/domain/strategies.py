"""Values of the domain for property tests, drawn from so few that neighbours meet and edges are hit."""

import string
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from domain.actor import Actor
from domain.environment import Absent, Holding, Placement, Unknown
from domain.fence import Fence
from domain.names import Subject
from domain.plan import Plan, Step, Undo, Verb
from domain.value import digest_of

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
INNER = string.ascii_letters + string.digits + "._-"
OUTER = string.ascii_letters + string.digits


def digest(word: str) -> str:
    """Return the digest of a word: one that a reader can tell from another."""
    return digest_of(word.encode())


identifiers = st.builds(
    "{}{}{}".format, st.sampled_from(OUTER), st.text(INNER, max_size=61), st.sampled_from(OUTER)
) | st.sampled_from([*OUTER])
few_names = st.sampled_from(["prod", "prod-1", "prod.1", "production", "a", "a-b"])
subjects = st.builds(Subject, service=few_names, environment=few_names)
digests = st.sampled_from([digest("one"), digest("two")])
FIRST, LAST = NOON.replace(year=2000, tzinfo=None), NOON.replace(year=2100, tzinfo=None)
moments = st.datetimes(min_value=FIRST, max_value=LAST, timezones=st.just(UTC))
fences = st.builds(Fence, turn=st.integers(0, 3), act=st.integers(0, 3))
placements = st.builds(
    Placement,
    version=st.just("1.0"),
    release=digests,
    artifact=digests,
    fence=st.none() | fences,
    since=st.none() | st.sampled_from([NOON, NOON + timedelta(days=1)]),
)
holdings: st.SearchStrategy[Holding] = (
    placements | st.just(Absent()) | st.builds(Unknown, why=st.text(max_size=3))
)
steps = st.builds(
    Step,
    component=st.sampled_from(["site", "db"]),
    target=st.sampled_from(["directory", "command"]),
    verb=st.sampled_from(Verb),
    before=holdings,
    after=holdings,
    undo=st.sampled_from(Undo),
    fenced=st.booleans(),
    repeatable=st.booleans(),
    of=st.none() | fences,
)
plans = st.builds(
    Plan,
    subject=subjects,
    version=st.sampled_from(["1.0", "2.0"]),
    release=st.none() | digests,
    steps=st.lists(steps, max_size=3).map(tuple),
    terms=digests,
)
actors = st.builds(Actor, name=st.sampled_from(["ana", "Ana", " ANA ", "bo", "cy"]))
