"""What happens, as it happens, in many promotions and changes at once. Nothing is added to any history."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, Literal

from temporalio.client import WorkflowHandle
from temporalio.service import RPCError

from activities.asking import ask_status
from activities.spaces import Anywhere
from clients.inventory import CHANGES, ask_each
from clients.overview import list_rows
from clients.speaking import is_missing
from clients.watching import Ears
from domain.names import ENVIRONMENT, SERVICE, STORY, is_promotion
from domain.record import Record
from domain.status import ChangeStatus, PromotionStatus
from domain.value import Value

LOOK_AGAIN_AFTER: Final = 1.0
"""Seconds, after which the server is asked what is new."""


class Happening(Value):
    """One record of one workflow."""

    schema_version: Literal[1] = 1
    at: datetime
    id: str
    record: Record


class Scope(Value):
    """Whose happenings. A ``either`` is a service or an environment; what is empty does not matter."""

    either: str = ""
    service: str = ""
    environment: str = ""

    @property
    def query(self) -> str:
        stories = ", ".join(f"'{story}'" for story in ("promotion", *CHANGES))
        parts = [f"{STORY} IN ({stories})"]
        if self.either:
            parts.append(f"({SERVICE}='{self.either}' OR {ENVIRONMENT}='{self.either}')")
        named = ((SERVICE, self.service), (ENVIRONMENT, self.environment))
        parts += [f"{name}='{value}'" for name, value in named if value]
        return " AND ".join(parts)


async def happenings(
    client: Anywhere, scope: Scope, since: datetime, *, until_idle: bool = False
) -> AsyncGenerator[Happening]:
    """Yield what is told of whatever is open or began since then, and go on with what happens."""
    query = f"{scope.query} AND (ExecutionStatus='Running' OR StartTime >= '{since.isoformat()}')"
    told: set[tuple[str, str]] = set()
    known: set[tuple[str, datetime]] = set()

    async def records(workflow_id: str) -> list[Happening]:
        return [
            Happening(at=record.at, id=workflow_id, record=record)
            for record in await _records(client, workflow_id)
        ]

    async with Ears(client) as ears:
        while True:
            rows = await list_rows(client, query)
            news = {row.id for row in rows if (row.id, row.started) not in known}
            known |= {(row.id, row.started) for row in rows}
            for workflow_id in news:
                ears.listen_anew(workflow_id)
            idle = not any(row.state == "running" for row in rows)
            if not idle or not until_idle:
                with suppress(TimeoutError):
                    news |= await asyncio.wait_for(ears.hear(), LOOK_AGAIN_AFTER)
            else:
                # What was known to be open has ended since: its last words are still to be told.
                news |= {workflow_id for workflow_id, _ in known}
            found = [one for some in await ask_each(sorted(news), records) for one in some]
            for one in sorted(found, key=lambda one: one.at):
                if (key := (one.id, one.record.digest())) not in told:
                    told.add(key)
                    yield one
            if idle and until_idle:
                return


async def _records(client: Anywhere, workflow_id: str) -> tuple[Record, ...]:
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(workflow_id)
    try:
        if is_promotion(workflow_id):
            promotion = await ask_status(handle, PromotionStatus)
            return promotion.records if promotion else ()
        change = await ask_status(handle, ChangeStatus)
    except RPCError as error:
        if is_missing(error):
            return ()
        raise
    return change.records if change else ()
