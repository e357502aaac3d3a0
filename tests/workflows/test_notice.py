"""One notice's own workflow, where its channels fail."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from temporalio.client import Client, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.notices import NoticeActivities
from activities.notifiers.courier import AppriseCourier
from domain.configuration import Configuration
from domain.configuration_files import Organisation
from domain.names import notice_id
from domain.notice import Event, Notice, NoticeOrder, Sent, key_of
from tests.channels import Hook, closed_port
from tests.fakes import FixedSettings
from workers.story import sandbox
from workflows.doorkeeper import Doorkeeper
from workflows.notice import NoticeWorkflow

QUEUE = "notices"


@pytest.fixture(scope="module")
async def hook() -> AsyncIterator[Hook]:
    async with Hook().open() as opened:
        yield opened


@pytest.fixture(scope="module")
async def queue(client: Client, hook: Hook, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A worker of notices alone, with a channel that works and one that is down for good."""
    channels = {"hook": hook.url, "down": f"json://127.0.0.1:{closed_port()}/"}
    organisation = Organisation(channels=channels)
    settings = FixedSettings(Configuration(organisation=organisation))
    folder: Path = tmp_path_factory.mktemp("channels")
    verbs = NoticeActivities(AppriseCourier(settings, folder, {}))
    async with Worker(
        client,
        task_queue=QUEUE,
        workflows=[NoticeWorkflow],
        activities=[verbs.send_notice],
        interceptors=[Doorkeeper()],
        workflow_runner=sandbox(),
    ):
        yield QUEUE


def ordered(*channels: str) -> NoticeOrder:
    notice = Notice(
        key=key_of(uuid.uuid4().hex), event=Event.FROZEN, environment="dev", title="dev is frozen", text="why"
    )
    return NoticeOrder(notice=notice, channels=channels)


async def test_a_channel_that_stays_away_is_given_up_after_a_day(
    skipping: WorkflowEnvironment, queue: str, hook: Hook
) -> None:
    """The others hear at once; the workflow ends with a result, says which did not, and nothing failed."""
    order = ordered("down", "hook")

    with capture_logs():
        handle = await skipping.client.start_workflow(
            "NoticeWorkflow", order, id=notice_id(order.notice.key), task_queue=queue, result_type=Sent
        )
        sent = await handle.result()

    assert sent == Sent(told=("hook",), untold=("down",))
    assert hook.titles == ["dev is frozen"]
    described = await handle.describe()
    assert described.close_time
    assert described.close_time > datetime.now(UTC)


@pytest.mark.parametrize(
    ("id_", "inputs"),
    [
        ("notice/another", [ordered("hook")]),
        ("notice/none", []),
        ("notice/text", ["hello"]),
        ("notice/nobody", [{"notice": ordered("hook").notice.model_dump(mode="json"), "channels": []}]),
    ],
)
async def test_what_is_no_notice_is_refused(
    client: Client, queue: str, id_: str, inputs: list[object]
) -> None:
    """Under another id the same could be told twice; without a channel, to nobody."""
    handle = await client.start_workflow(
        "NoticeWorkflow", args=inputs, id=f"{id_}-{uuid.uuid4().hex}", task_queue=queue
    )

    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()

    assert getattr(failed.value.cause, "type", "") == "BadStart"
