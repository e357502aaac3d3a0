"""A notice is told once, whatever else goes by its id: that can be foreseen, and taken before it is needed."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from domain.names import ENGINE_QUEUE, notice_id
from domain.notice import Event, Notice, NoticeOrder, key_of
from domain.workflow_types import NOTICE
from tests.channels import Hook
from tests.survival.waiting import until
from tests.workers.site import lay_out
from workers.posting import post
from workers.running import engine_worker
from workers.server import embedded, temporal_binary
from workflows.reaching import reach

pytestmark = [pytest.mark.server, pytest.mark.processes]

LOST = Notice(
    key=key_of("promotion/shop/dev/1.0.0", "a run", "terminated"),
    event=Event.FAILED,
    service="shop",
    environment="dev",
    title="1.0.0 of shop in dev: terminated",
    text="a person is needed",
)
ORDER = NoticeOrder(notice=LOST, channels=("hook",))


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[tuple[Client, Hook]]:
    """An engine with one channel, on a server of its own."""
    async with Hook().open() as hook, embedded(temporal_binary(), None) as server:
        client, place = await reach(server.address), lay_out(tmp_path)
        (tmp_path / "towpath.yaml").write_text(
            f"channels: {{hook: '{hook.url}'}}\nnotify: [{{to: [hook]}}]\n"
        )
        async with engine_worker(client, place):
            yield client, hook


async def _until_ended(client: Client) -> None:
    async def has_ended() -> bool:
        query = f"WorkflowId='{notice_id(LOST.key)}' AND ExecutionStatus!='Running'"
        return bool((await client.count_workflows(query)).count)

    await until(has_ended)


@pytest.mark.parametrize(
    "there",
    [
        {"kind": "Evil", "queue": "eve"},
        {"kind": NOTICE, "queue": "eve"},
        {"order": ORDER.but(channels=("nowhere",))},
        {"order": ORDER.but(notice=LOST.but(title="all is well")), "ends": True},
        {"order": {}, "ends": True},
        {"start_delay": timedelta(days=1)},
        {"cron_schedule": "0 0 1 1 *"},
        {"queue": "eve", "terminated": True},
    ],
    ids=[
        "another kind",
        "another queue",
        "another channel",
        "other words",
        "nothing",
        "another day",
        "every year",
        "ended",
    ],
)
async def test_what_stands_in_a_notices_place_makes_way(
    told: tuple[Client, Hook], there: dict[str, Any]
) -> None:
    """It kept the news of a terminated promotion from everybody, for good."""
    client, hook = told
    ends, terminated = there.pop("ends", False), there.pop("terminated", False)
    handle = await client.start_workflow(
        there.pop("kind", NOTICE),
        there.pop("order", ORDER),
        id=notice_id(LOST.key),
        task_queue=there.pop("queue", ENGINE_QUEUE),
        **there,
    )
    if terminated:
        await handle.terminate()
    if ends or terminated:
        await _until_ended(client)

    await post(client, ORDER)
    await hook.until_told(LOST.title)


async def test_what_is_posted_twice_is_told_once(told: tuple[Client, Hook]) -> None:
    """By two engines, or by one that was started anew: while it is told, and when it has been."""
    client, hook = told

    await post(client, ORDER)
    await post(client, ORDER)
    await hook.until_told(LOST.title)
    await _until_ended(client)
    await post(client, ORDER)
    await post(client, ORDER.but(notice=LOST.but(key=key_of("another"), title="another")))
    await hook.until_told("another")
    tries = await client.count_workflows(f"WorkflowId='{notice_id(LOST.key)}'")

    assert hook.titles.count(LOST.title) == 1
    assert tries.count == 1
