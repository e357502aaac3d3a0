"""Turns that were taken on this host without the engine, until their lanes have been told of them.

A note is only a bell: what was done is in the store, and a lane that is told recalls it from there.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog
from temporalio.client import Client
from temporalio.service import RPCError

from activities.errands import AWAKE, lane_message
from activities.locks import TakenError, locked_at_once
from domain.answer import Awake
from domain.names import Subject

EVERY: Final = timedelta(seconds=5)
_LOCK: Final = "lock"
_NOTE: Final = "untold"

log = structlog.get_logger(__name__)


@contextmanager
def alone(state: Path, subject: Subject) -> Iterator[None]:
    """Keep everybody else on this host away from a subject. Raises ``TakenError`` where somebody is at it."""
    folder = _folder(state, subject)
    folder.mkdir(parents=True, exist_ok=True)
    with locked_at_once(folder / _LOCK):
        yield


def note(state: Path, subject: Subject, turn: int) -> None:
    """Write down that the lane has to be told of a turn."""
    unfinished = _folder(state, subject) / f"{_NOTE}.new"
    unfinished.write_text(str(turn))
    unfinished.replace(_folder(state, subject) / _NOTE)


async def keep_ringing(
    client: Client, state: Path, environments: Sequence[str], every: timedelta = EVERY
) -> None:
    """Tell the lanes of these environments, as soon as a server takes it. Ends by being cancelled."""
    while True:
        for environment in environments:
            for file in sorted((state / "offline" / environment).glob(f"*/{_NOTE}")):
                await _tell(client, state, Subject(service=file.parent.name, environment=environment))
        await asyncio.sleep(every.total_seconds())


async def _tell(client: Client, state: Path, subject: Subject) -> None:
    """Tell one lane; while somebody is still at it, later."""
    file = _folder(state, subject) / _NOTE
    try:
        with alone(state, subject):
            turn = int(file.read_text())
            await lane_message(client, subject, AWAKE, Awake(turn=turn).model_dump(mode="json"))
            file.unlink(missing_ok=True)
    except TakenError:
        return
    except (OSError, ValueError, RPCError) as error:
        log.warning("lane_not_told", service=subject.service, environment=subject.environment, why=str(error))
    else:
        log.info("lane_told", service=subject.service, environment=subject.environment, turn=turn)


def _folder(state: Path, subject: Subject) -> Path:
    return state / "offline" / subject.environment / subject.service
