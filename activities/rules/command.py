"""A program of the owner's, such as the project's own tests against the environment: exit code 0 keeps the rule."""

from collections import deque
from collections.abc import Mapping
from datetime import timedelta
from pathlib import PurePath
from typing import ClassVar, Final

from pydantic import JsonValue

from activities.ports import Case, Desk, Judgement
from activities.programs import NotStartedError, ProgramSettings, run
from domain.rule import LONGEST_OUTPUT
from domain.value import Duration, Value, say_duration

_LINES_KEPT: Final = 60


class CommandRuleSettings(ProgramSettings):
    """What people may write about a command rule."""

    timeout: Duration = timedelta(minutes=5)


class CommandRule:
    """Runs the program on the environment's worker. It is told everything on stdin, and the names in variables."""

    settings: ClassVar[type[Value]] = CommandRuleSettings

    def __init__(self, settings: Mapping[str, JsonValue], desk: Desk) -> None:
        self._settings = CommandRuleSettings.model_validate(settings)
        self._folder = desk.folder

    async def judge(self, case: Case) -> Judgement:
        settings, kept = self._settings, deque[str](maxlen=_LINES_KEPT)
        program = settings.program(self._folder)

        def say(line: str) -> None:
            kept.append(line)
            case.said(line)

        name = PurePath(settings.command[0]).name
        try:
            ended = await run(program, _told(case), say)
        except NotStartedError as no:
            return Judgement(passed=False, sentence=str(no))
        output = "\n".join(kept)[-LONGEST_OUTPUT:]
        if ended.code is None:
            limit = say_duration(settings.timeout)
            return Judgement(
                passed=False, sentence=f"“{name}” did not end within {limit}, and was stopped", output=output
            )
        said = f": {ended.complaint}" if ended.complaint else ""
        return Judgement(
            passed=ended.code == 0,
            sentence=f"“{name}” ended with exit code {ended.code}{said}",
            output=output,
        )


def _told(case: Case) -> dict[str, JsonValue]:
    return {
        "verb": "judge",
        "service": case.subject.service,
        "environment": case.subject.environment,
        "version": case.release.version,
        "release": case.release.digest(),
        "case": dict(case.dossier),
    }
