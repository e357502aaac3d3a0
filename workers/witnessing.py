"""Noting what no honest use brings about, where the engine's worker meets it: at the doors of workflows."""

import asyncio
from collections.abc import Mapping
from typing import Final

from activities.attempts import Attempts
from activities.ports import Clock
from domain.attempt import SAYS
from domain.attempt_telling import Tried
from domain.logbook import Attempt, Doer
from domain.names import Subject, is_identifier, names_in
from workflows.doorkeeper import Sighting, Witness

ENGINE: Final = "towpath"
"""The name under which an engine tells of what was tried in environments that are served elsewhere."""
OF_THE_ENGINE: Final = Subject.model_construct(service="", environment=ENGINE)
"""What an alarm is about that is of no environment."""


def witness_to(engine: Attempts, served: Mapping[str, Attempts], clock: Clock) -> Witness:
    """Return who notes what doors have seen: with its environment where that is served here, else with the engine.

    Workflows run in threads; what is noted is noted in the loop that this is called in.
    """
    loop = asyncio.get_running_loop()

    def note(tried: Tried) -> None:
        served.get(tried.attempt.environment, engine).note(tried)

    def witness(seen: Sighting) -> None:
        subject, environment = place_of(seen.workflow_id)
        attempt = Attempt(
            at=clock.now(),
            environment=environment,
            subject=subject,
            what=f"{SAYS[seen.kind]} ({seen.door})",
            by=Doer(workflow_id=seen.workflow_id, run=seen.run),
            claimed=seen.claimed,
            why=seen.why,
        )
        loop.call_soon_threadsafe(note, Tried(seen.kind, attempt, seen.namespace))

    return witness


def about(workflow_id: str) -> Subject:
    """Return whom an alarm of a workflow is about: a service in an environment, or an environment alone."""
    subject, environment = place_of(workflow_id)
    return subject or Subject.model_construct(service="", environment=environment)


def place_of(workflow_id: str) -> tuple[Subject | None, str]:
    """Read in an id what it is about. Whoever started the workflow has chosen it."""
    first, second = names_in(workflow_id, 2)
    if workflow_id.startswith("environment/") and is_identifier(first):
        return None, first
    if is_identifier(first) and is_identifier(second):
        return Subject(service=first, environment=second), second
    return None, ENGINE
