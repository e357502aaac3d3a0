"""A real configuration folder, with real targets, checks and keys, for what runs whole workers."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from temporalio.client import Client, WorkflowHandle

from activities.keyring import make_key
from activities.releases import create_release
from domain.actor import Actor
from domain.approval import DecisionWord
from domain.names import ENGINE_QUEUE, Subject, promotion_id
from domain.outcome import Phase
from domain.release import Kind
from domain.status import PromotionStatus, Report
from domain.terms import Request
from domain.value import short
from tests.news import news
from workers.settings import Surroundings, surroundings
from workers.wiring import store_of

SUBJECT: Final = Subject(service="shop", environment="dev")

ORGANISATION: Final = "groups:\n  managers: [bo@example.com]\n"

SERVICE: Final = """\
service: shop
components:
  site: {kind: content}
environments:
  dev:
    site: {target: directory, root: live/dev}
    health: [{command: [test, -e, well], within: 0s}]
    approval: {quorum: 1, from: [managers]}
"""


def lay_out(folder: Path, **variables: str) -> Surroundings:
    """Write the folder: one environment, and a service that is well as long as the file ``well`` is there."""
    place = surroundings(folder, variables)
    public = make_key(place.keys, SUBJECT.environment)
    for name in ("environments", "services"):
        (folder / name).mkdir()
    (folder / "towpath.yaml").write_text(ORGANISATION)
    (folder / "environments" / "dev.yaml").write_text(f"environment: dev\nkey: {public}\n")
    (folder / "services" / "shop.yaml").write_text(SERVICE)
    (folder / "well").touch()
    return place


async def release(place: Surroundings, version: str) -> None:
    source = place.folder / "source" / version
    source.mkdir(parents=True)
    (source / "index.html").write_text(version)
    parts = {"site": (Kind.CONTENT, source)}
    await create_release(store_of(place), SUBJECT.service, version, parts, now=datetime.now(UTC))


async def approved(client: Client, version: str) -> WorkflowHandle[Any, Report]:
    """Start a promotion, and approve it when it waits for that."""
    handle = await client.start_workflow(
        "PromotionWorkflow",
        Request(subject=SUBJECT, version=version, actor=Actor(name="ana@example.com")),
        id=promotion_id(SUBJECT, version),
        task_queue=ENGINE_QUEUE,
        result_type=Report,
    )
    status = await until(handle, Phase.WAITING_FOR_APPROVAL)
    assert status.intent
    await handle.signal("approve", DecisionWord(by="bo@example.com", plan=short(status.intent)))
    return handle


async def until(handle: WorkflowHandle[Any, Any], phase: Phase) -> PromotionStatus:
    """Wait until a promotion stands in a phase."""
    async with asyncio.timeout(30):
        async for _ in news(handle):
            status: PromotionStatus = await handle.query("status", result_type=PromotionStatus)
            if status.phase is phase:
                return status
    message = f"it never stood in {phase}"
    raise AssertionError(message)
