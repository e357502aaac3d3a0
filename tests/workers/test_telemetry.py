"""What a worker shows of itself, asked over HTTP, after others have begun what it has to replay."""

import asyncio
import io
import json
import logging
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, redirect_stderr
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from temporalio.client import Client

from activities.spaces import Spaces
from domain.names import ENGINE_QUEUE, change_id, environment_id, lane_id, notice_id
from domain.notice import Event, Notice, NoticeOrder, key_of
from domain.outcome import Outcome, Phase
from tests.channels import Hook
from tests.news import news
from tests.workers.site import ORGANISATION, SUBJECT, approved, lay_out, release, until
from workers.running import working
from workers.server import embedded, temporal_binary
from workers.settings import Surroundings
from workers.telemetry import Telemetry, begin
from workflows.reaching import reach

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "metrics.md"


class Seen(NamedTuple):
    """What was to be seen after two promotions: one waited for a thaw, one was put back by hand."""

    metrics: str
    events: list[dict[str, Any]]
    health: httpx.Response
    ready: httpx.Response
    ended: tuple[Outcome, Outcome]
    told: list[str]

    def value(self, series: str, **labels: str) -> float:
        """Add up the samples of a series that carry these labels."""
        families = text_string_to_metric_families(self.metrics)
        samples = [sample for family in families for sample in family.samples if sample.name == series]
        return sum(one.value for one in samples if labels.items() <= one.labels.items())


@contextmanager
def logging_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        yield
    finally:
        root.handlers[:], root.level = handlers, level
        structlog.reset_defaults()


@pytest.fixture(scope="module")
async def seen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seen]:
    place = lay_out(tmp_path_factory.mktemp("site"), TOWPATH_METRICS="127.0.0.1:0", TOWPATH_LOG="json")
    said = io.StringIO()
    with logging_restored():
        with redirect_stderr(said):
            telemetry = begin(place, default=False)
        async with Hook().open() as hook, embedded(temporal_binary(), None) as server:
            (place.folder / "towpath.yaml").write_text(
                f"{ORGANISATION}channels: {{hook: '{hook.url}'}}\nnotify: [{{to: [hook], events: [unsettled]}}]\n"
            )
            client = await reach(server.address, runtime=telemetry.runtime)
            ended = await _live(client, place)
            async with (
                _a_worker(client, place, telemetry) as url,
                httpx.AsyncClient(base_url=url, trust_env=False) as browser,
            ):
                await _tell(client)
                await _start_by_hand(client, hook)
                # A query has a workflow replayed to its end.
                await client.get_workflow_handle("promotion/shop/dev/1.0.0").query("status")
                metrics, health, ready = [
                    await browser.get(path) for path in ("/metrics", "/healthz", "/readyz")
                ]
        events = [json.loads(line) for line in said.getvalue().splitlines()]
        yield Seen(metrics.raise_for_status().text, events, health, ready, ended, hook.titles)


def _a_worker(
    client: Client, place: Surroundings, telemetry: Telemetry | None = None
) -> AbstractAsyncContextManager[str]:
    """A worker that has seen nothing: whatever it is to go on with, it replays from the beginning."""
    return working(Spaces(client), place, [SUBJECT.environment], engine=True, telemetry=telemetry)


async def _tell(client: Client) -> None:
    """Have one notice told."""
    notice = Notice(
        key=key_of("one"), event=Event.THAWED, environment="dev", title="dev is thawed", text="by olga"
    )
    await client.execute_workflow(
        "NoticeWorkflow",
        NoticeOrder(notice=notice, channels=("hook",)),
        id=notice_id(notice.key),
        task_queue=ENGINE_QUEUE,
    )


async def _start_by_hand(client: Client, hook: Hook) -> None:
    """Do what no honest use brings about, and wait until somebody hears of it."""
    change = change_id(SUBJECT, 1)
    await client.start_workflow("ChangeWorkflow", {}, id=change, task_queue=ENGINE_QUEUE)
    await hook.until_told("shop in dev: a workflow was started by hand")


async def _live(client: Client, place: Surroundings) -> tuple[Outcome, Outcome]:
    """Let two promotions be made by one worker after another: the first is frozen out, the second sick."""
    environment = client.get_workflow_handle(environment_id(SUBJECT.environment))
    lane = client.get_workflow_handle(lane_id(SUBJECT))
    for version in ("1.0.0", "2.0.0"):
        await release(place, version)
    async with _a_worker(client, place):
        await client.start_workflow(
            "EnvironmentWorkflow",
            id=environment.id,
            task_queue=ENGINE_QUEUE,
            start_signal="freeze",
            start_signal_args=[{"by": "olga@example.com", "reason": "stop the line"}],
        )
        first = await approved(client, "1.0.0")
        await first.signal("hello", "world")
        await until(first, Phase.WAITING_FOR_GATE)

    async with _a_worker(client, place):
        await environment.signal("thaw", {"by": "olga@example.com"})
        promoted = await first.result()
        (place.folder / "well").unlink()
        second = await approved(client, "2.0.0")
        async with asyncio.timeout(30):
            async for _ in news(lane):
                if (await lane.query("status"))["phase"] == Phase.UNSETTLED:
                    break

    (place.folder / "well").touch()
    async with _a_worker(client, place):
        await lane.signal("retry", {"by": "olga@example.com"})
        put_back = await second.result()
    return promoted.outcome, put_back.outcome


def test_two_promotions_end_as_they_should(seen: Seen) -> None:
    """Measuring changes nothing."""
    assert seen.ended == (Outcome.PROMOTED, Outcome.ROLLED_BACK)


@pytest.mark.parametrize(
    ("story", "outcome", "count"),
    [
        ("promotion", "promoted", 1),
        ("promotion", "rolled back", 1),
        ("deploy", "refused", 1),
        ("deploy", "promoted", 1),
        ("deploy", "rolled back", 1),
    ],
)
def test_outcomes_are_counted_once(seen: Seen, story: str, outcome: str, count: int) -> None:
    """A promotion and each change of it count once, though several workers replayed their histories."""
    labels = {"story": story, "outcome": outcome, "environment": "dev"}
    assert seen.value("towpath_outcomes_total", **labels) == count


@pytest.mark.parametrize(
    ("story", "phase", "count"),
    [
        ("promotion", "waiting for approval", 2),
        ("promotion", "waiting for a gate", 1),
        ("promotion", "in the lane", 3),
        ("deploy", "stuck", 1),
        ("lane", "unsettled", 1),
    ],
)
def test_phases_are_counted_once(seen: Seen, story: str, phase: str, count: int) -> None:
    """A phase counts when it is entered, and not when it is replayed."""
    labels = {"story": story, "phase": phase, "environment": "dev"}
    assert seen.value("towpath_phase_entered_total", **labels) == count


def test_a_refused_clearance_is_counted_by_its_cause(seen: Seen) -> None:
    """The freeze refused one effect."""
    assert seen.value("towpath_clearances_refused_total", cause="gate") == 1


def test_a_refused_message_is_counted(seen: Seen) -> None:
    """The signal that nobody knows shows in the numbers."""
    assert seen.value("towpath_messages_refused_total", story="promotion") == 1


def test_an_alarm_is_counted(seen: Seen) -> None:
    """A person was called once."""
    assert seen.value("towpath_alarms_total", environment="dev") == 1


@pytest.mark.parametrize(
    ("verb", "result", "count"), [("place", "refused", 1), ("place", "done", 2), ("restore", "done", 1)]
)
def test_deeds_are_timed_by_how_they_ended(seen: Seen, verb: str, result: str, count: int) -> None:
    """One deed was refused, two were done, one of them was undone."""
    labels = {"verb": verb, "result": result, "environment": "dev"}
    assert seen.value("towpath_deed_seconds_count", **labels) == count


def test_the_sdk_and_the_process_are_on_the_same_port(seen: Seen) -> None:
    """One scrape is enough: SDK, process and our own."""
    assert seen.value("temporal_workflow_completed_total", workflow_type="PromotionWorkflow") == 2
    assert seen.value("process_resident_memory_bytes") > 0


def test_an_alarm_is_told_by_its_channels(seen: Seen) -> None:
    """Once, from the change itself."""
    (alarm, notice, _) = seen.told
    assert alarm.startswith("shop in dev is unsettled")
    assert notice == "dev is thawed"


def test_an_attempt_is_told_counted_and_logged_once(seen: Seen) -> None:
    """On every channel, though no route leads there; and it is in the log with all that is known of it."""
    assert seen.told[-1] == "shop in dev: a workflow was started by hand"
    assert seen.value("towpath_attempts_total", kind="start") == 1
    (logged,) = [event for event in seen.events if event["event"] == "attempt"]
    assert (logged["kind"], logged["environment"]) == ("start", "dev")
    assert logged["workflow"] == change_id(SUBJECT, 1)


def test_notices_are_counted_for_each_channel(seen: Seen) -> None:
    """One was told, by its one channel."""
    assert seen.value("towpath_notices_total", outcome="told") == 1


def test_every_metric_is_in_the_reference(seen: Seen) -> None:
    """What the port shows, the documentation names."""
    shown = set(re.findall(r"^# TYPE (\S+)", seen.metrics, re.MULTILINE))
    documented = set(re.findall(r"^\| `(\w+)`", REFERENCE.read_text(), re.MULTILINE))
    assert shown - documented == set()


def test_the_reference_names_no_metric_of_ours_that_is_not_there(seen: Seen) -> None:
    """A metric that was renamed or removed is removed from the documentation."""
    documented = set(re.findall(r"^\| `(towpath_\w+)`", REFERENCE.read_text(), re.MULTILINE))
    shown = set(re.findall(r"^# TYPE (towpath_\S+)", seen.metrics, re.MULTILINE))
    assert documented == shown


def test_a_phase_is_logged_once(seen: Seen) -> None:
    """Logs are silent on replay."""
    logged = [
        (event["workflow"], event["phase"]) for event in seen.events if event["event"] == "phase_entered"
    ]
    assert logged.count(("promotion/shop/dev/2.0.0", "in the lane")) == 1
    assert logged.count(("promotion/shop/dev/1.0.0", "waiting for a gate")) == 1


def test_an_event_is_its_name_and_its_keys(seen: Seen) -> None:
    """What happened, where and why are keys; nothing is appended to the name."""
    (refused,) = [event for event in seen.events if event["event"] == "message_refused"]
    assert refused["workflow"] == "promotion/shop/dev/1.0.0"
    assert refused["level"] == "warning"
    assert "no signal “hello”" in refused["why"]
    assert not refused.keys() & {"temporal_workflow", "_record", "_from_structlog"}


def test_an_alarm_is_an_event_with_its_activity(seen: Seen) -> None:
    """What an activity logs says which one it was, and of which workflow."""
    alarm, _ = [event for event in seen.events if event["event"] == "alarm"]
    assert alarm["activity"] == "call_person"
    assert alarm["workflow"].startswith("change/shop/dev/")


def test_a_worker_that_can_work_is_alive_and_ready(seen: Seen) -> None:
    """Both are 200, and what was tried is named."""
    assert seen.health.text == "alive\n"
    assert seen.ready.status_code == 200
    assert seen.ready.text == "server: good\nconfiguration: good\nkeys: good\nstore: good\n"
