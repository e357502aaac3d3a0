"""Any program: exit code 0 says that the service is well. It proves no revision."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from pydantic import JsonValue

from activities.ports import Expected, Finding
from activities.programs import NotStartedError, ProgramSettings, run
from domain.environment import Absent, Placement
from domain.value import Value, say_duration


class CommandCheckSettings(ProgramSettings):
    """What people may write about a command check."""


class CommandCheck:
    """Runs the owner's program with the same variables, and the same JSON on stdin, as a command target."""

    settings: ClassVar[type[Value]] = CommandCheckSettings

    def __init__(self, settings: Mapping[str, JsonValue], folder: Path) -> None:
        self._settings = CommandCheckSettings.model_validate(settings)
        self._folder = folder

    async def look(self, expected: Expected) -> Finding:
        """Run it once. Where nothing is to stand, nothing is asked, and that passes."""
        if isinstance(expected.holding, Absent):
            return Finding(
                passed=True, proven=False, sentence="nothing is to stand here, so nothing was asked"
            )
        settings = self._settings
        program = settings.program(self._folder)
        try:
            ended = await run(program, _told(expected), expected.said)
        except NotStartedError as no:
            return Finding(passed=False, proven=False, sentence=str(no))
        said = f": {ended.complaint}" if ended.complaint else ""
        how = (
            f"exit code {ended.code}"
            if ended.code is not None
            else f"no end within {say_duration(settings.timeout)}"
        )
        return Finding(
            passed=ended.code == 0, proven=False, sentence=f"“{settings.command[0]}” {how}{said}"[:2000]
        )


def _told(expected: Expected) -> dict[str, JsonValue]:
    placed = expected.holding if isinstance(expected.holding, Placement) else None
    fence = placed.fence if placed else None
    return {
        "verb": "check",
        "fence": {"turn": fence.turn, "act": fence.act} if fence else None,
        "service": expected.subject.service,
        "environment": expected.subject.environment,
        "component": expected.component,
        "version": placed.version if placed else None,
        "release": placed.release if placed else None,
        "digest": placed.artifact if placed else None,
    }
