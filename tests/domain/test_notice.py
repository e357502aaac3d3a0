"""Who is told of what, and which addresses may stand in a file that everybody reads."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from domain.approval_written import Approval
from domain.configuration import Configuration
from domain.configuration_files import (
    ComponentFile,
    EnvironmentFile,
    Organisation,
    ServiceEnvironment,
    ServiceFile,
)
from domain.names import Subject
from domain.notice import SEVERITY_OF, ChannelAddress, Event, Route, Severity, channels_for
from domain.noticing import reminders_due
from domain.outcome import Outcome, Phase
from domain.record import GENESIS, OutcomeRecord
from domain.release import Kind
from domain.status import ChangeStatus
from domain.terms import Story
from tests.domain.strategies import NOON

ADDRESS: TypeAdapter[str] = TypeAdapter(ChannelAddress)
SUBJECT = Subject(service="shop", environment="dev")


@pytest.mark.parametrize(
    "written",
    [
        "env:TOWPATH_CHAT",
        "file:secrets/chat",
        "json://127.0.0.1:9000/hook",
        "jsons://example.com/hook?method=put&verify=no",
        "mailto://mail.example.com?from=a@example.com&to=b@example.com",
        "syslog://",
    ],
)
def test_a_reference_or_an_address_without_a_secret_is_taken(written: str) -> None:
    """References say where the address is; a plain webhook or mail server has nothing to hide."""
    assert ADDRESS.validate_python(written) == written


@pytest.mark.parametrize(
    "written",
    [
        "slack://hunter2/hunter2/hunter2",
        "discord://hunter2",
        "json://bo:hunter2@example.com/",
        "json://hunter2@example.com/",
        "json://example.com/?+X-Token=hunter2",
        "mailto://example.com?pass=hunter2",
        "https://hooks.example.com/hunter2",
        "hunter2",
        "json://[hunter2",
        "file://hunter2",
        "env:",
        "env: ",
    ],
)
def test_what_may_hold_a_secret_is_refused_and_not_repeated(written: str) -> None:
    """The sentence says what to write instead, and nothing of what was written."""
    with pytest.raises(ValidationError) as refused:
        ADDRESS.validate_python(written)

    (error,) = refused.value.errors()
    assert "; write" in error["msg"]
    assert "hunter2" not in error["msg"]


def test_every_outcome_is_an_event() -> None:
    """Whatever ends can be told, under its own name, and every event has its weight."""
    assert {outcome.value for outcome in Outcome} <= {event.value for event in Event}
    assert set(SEVERITY_OF) == set(Event)


NAMES = st.sampled_from(["a", "b", "c"])
FEW = st.lists(NAMES, max_size=2).map(tuple)


@given(
    st.lists(
        st.builds(
            Route,
            to=st.lists(NAMES, min_size=1, max_size=2).map(tuple),
            events=st.lists(st.sampled_from(Event), max_size=3).map(tuple),
            services=FEW,
            environments=FEW,
            severity=st.sampled_from(Severity),
        ),
        max_size=4,
    ),
    st.sampled_from(Event),
    NAMES | st.just(""),
    NAMES,
)
def test_a_notice_goes_exactly_where_a_route_sends_it(
    routes: list[Route], event: Event, service: str, environment: str
) -> None:
    """To each channel of each route whose every word fits, once; what is left out fits all."""
    order = ["info", "notice", "warning", "alarm"]
    expected = {
        channel
        for route in routes
        if event in (route.events or Event)
        and (not service or service in (route.services or [service]))
        and environment in (route.environments or [environment])
        and order.index(SEVERITY_OF[event]) >= order.index(route.severity)
        for channel in route.to
    }

    found = channels_for(routes, event, service, environment)

    assert set(found) == expected
    assert len(found) == len(expected)


@given(st.integers(0, 400), st.integers(1, 60))
def test_reminders_come_less_and_less_often(waited: int, remind: int) -> None:
    """As many as there are pauses that have passed, each twice the one before."""
    due = reminders_due(timedelta(minutes=waited), timedelta(minutes=remind))

    pauses = [remind * 2**number for number in range(due + 1)]
    assert sum(pauses[:due]) <= waited < sum(pauses)


def test_no_time_is_no_reminder() -> None:
    """``remind: 0s`` leaves approvers alone."""
    assert reminders_due(timedelta(days=300), timedelta()) == 0


def asking(remind: str | None, floor: str | None, *routes: Route) -> Configuration:
    def approval(after: str | None) -> Approval:
        return Approval.model_validate({"quorum": 1, "from": ["all"], "remind": after})

    return Configuration(
        organisation=Organisation(groups={"all": ("bo",)}, channels={"chat": "env:CHAT"}, notify=routes),
        environments={"dev": EnvironmentFile(environment="dev", approval=approval(floor))},
        services={
            "shop": ServiceFile(
                service="shop",
                components={"site": ComponentFile(kind=Kind.CONTENT)},
                environments={"dev": ServiceEnvironment(approval=approval(remind))},
            )
        },
    )


@pytest.mark.parametrize(
    ("remind", "floor", "hours"),
    [(None, None, 4), (None, "1h", 1), ("2h", "1h", 2), ("0s", "1h", 0)],
)
def test_a_service_is_reminded_by_its_own_word(remind: str | None, floor: str | None, hours: int) -> None:
    """Else by the environment's, else after four hours."""
    assert asking(remind, floor).remind(SUBJECT) == timedelta(hours=hours)


def test_approvals_that_nobody_hears_of_are_known() -> None:
    """A route that leaves out the service, or the event, tells nobody."""
    deaf = Route(to=("chat",), events=(Event.PROMOTED,))

    assert asking(None, None, deaf).unheard() == (SUBJECT,)
    assert asking(None, None, deaf, Route(to=("chat",), services=("shop",))).unheard() == ()


def test_a_change_says_why_it_ended() -> None:
    """And nothing before it has."""
    ended = OutcomeRecord(at=NOON, previous=GENESIS, outcome=Outcome.REFUSED, why="it is not signed")
    status = ChangeStatus(story=Story.ROLLBACK, subject=SUBJECT, turn=7, phase=Phase.ENDED, since=NOON)

    assert status.why == ""
    assert status.but(records=(ended,)).why == "it is not signed"


def test_whom_it_is_told_to_changes_nothing_about_a_change() -> None:
    """Terms drawn up before and after a route was written come from the same slice."""
    before = asking(None, None).terms(SUBJECT, timedelta(minutes=5), "n")
    after = asking(None, None, Route(to=("chat",))).terms(SUBJECT, timedelta(minutes=5), "n")

    assert before == after
