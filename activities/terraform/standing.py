"""What a terraform target has begun and finished: kept beside the trees that it applies."""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, ValidationError

from activities.linking import see_onto_disk
from activities.ports import StaleFenceError, TargetRefusalError
from activities.terraform.plans import Action
from domain.fence import Fence
from domain.value import Value


class Applied(Value):
    """The newest deed that was begun, whether it was finished, and the actions that it was begun with."""

    fence: Fence
    done: bool = False
    approved: dict[str, Action] = Field(default_factory=dict)
    took_over: bool = False
    """Whether the state knew resources before the first deed: they are not destroyed by an undo."""


class Died(NamedTuple):
    """A run that has not ended, and that nobody runs any more: when it began, and when it was gone for certain."""

    since: float
    until: float


class Ledger:
    """Blocking, and small."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._file = root / "applied.json"
        self._running = root / "running"

    def read(self) -> Applied | None:
        try:
            return Applied.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as broken:
            raise TargetRefusalError(
                f"{self._file} cannot be read, so nobody can tell what was applied last. Put it back from a backup; "
                "where nothing was ever applied from this root, remove it."
            ) from broken

    def write(self, applied: Applied) -> None:
        """Write it durably: it says truly what was begun, even after a power cut."""
        fresh = self._file.with_name(".applied.json")
        with fresh.open("w", encoding="utf-8") as written:
            written.write(json.dumps(applied.model_dump(mode="json")))
            written.flush()
            os.fsync(written.fileno())
        fresh.replace(self._file)
        see_onto_disk(self._root)

    def refuse_older(self, fence: Fence) -> None:
        newest = self.read()
        if newest and newest.fence.outranks(fence):
            raise StaleFenceError(
                f"Deed {fence} comes too late for {self._root}, which has seen {newest.fence}."
            )

    @contextmanager
    def running(self) -> Generator[Died | None, None, None]:
        """Leave a note for as long as a run may hold the state's lock: also after it was killed, or stopped.

        Yields when that was, where there is such a note already.
        """
        died = self._died()
        try:
            yield died
        except TargetRefusalError:
            self._running.unlink()
            raise
        self._running.unlink()

    def _died(self) -> Died | None:
        """Read the note, or write it."""
        try:
            since = self._running.stat().st_mtime
        except FileNotFoundError:
            self._running.touch()
            return None
        self._running.touch()
        until = self._running.stat().st_mtime
        os.utime(self._running, (since, since))
        return Died(since, until)
