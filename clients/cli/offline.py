"""``rollback --without-server``: going back on a worker's host, while no engine can be asked."""

import asyncio
import socket
from typing import Final, NoReturn

from clients.cli.reading import read_about, spaces_of
from clients.cli.terminal import leave, say, say_commands
from clients.trouble import ClientError, DeclinedError, NoServerError, UsageError
from domain.names import Subject, is_identifier
from domain.outcome import Exit
from workers.settings import Surroundings, surroundings

PATIENCE: Final = 5.0
"""Seconds for a server to answer in."""


def roll_back_offline(
    service: str, environment: str, *, by: str, reason: str, turn: int | None, even_so: bool
) -> NoReturn:
    """Roll back from store and journal, and end with what the shell is told."""
    if not reason.strip():
        raise UsageError('A rollback without the server leaves nobody to ask why: say it with --reason "…".')
    if not (is_identifier(service) and is_identifier(environment)):
        raise UsageError(f"“{service} {environment}” names no service in an environment.")
    place, subject = surroundings(), Subject(service=service, environment=environment)
    configuration = read_about(place, service, environment)
    if environment not in configuration.environments:
        known = ", ".join(sorted(configuration.environments)) or "none"
        raise UsageError(f"There is no environment “{environment}” in {place.folder}; there is: {known}.")
    leave(asyncio.run(_roll_back(place, subject, by=by, reason=reason, turn=turn, even_so=even_so)))


async def _roll_back(
    place: Surroundings, subject: Subject, *, by: str, reason: str, turn: int | None, even_so: bool
) -> Exit:
    from activities.locks import TakenError
    from activities.offline import NotRolledBackError, OfflineRollback
    from activities.ports import SealError, StoreError
    from domain.actor import Actor, Channel
    from domain.terms import Request, Story
    from workers import untold
    from workers.wiring import tools

    try:
        chosen = tools(place, subject.environment)
        say(await _about_the_engine(place, subject, even_so=even_so))
        request = Request(
            story=Story.ROLLBACK,
            subject=subject,
            actor=Actor(name=by, channel=Channel.OFFLINE),
            reason=reason,
            of=turn,
        )
        work = OfflineRollback(chosen, request, f"offline/{socket.gethostname()}", say)
        with untold.alone(place.state, subject):
            ended = await work.run(lambda taken: untold.note(place.state, subject, taken))
    except TakenError as error:
        raise DeclinedError(
            f"Somebody on this host is rolling back {subject} just now. Wait for them, or stop that first."
        ) from error
    except NotRolledBackError as error:
        raise DeclinedError(str(error)) from error
    except (SealError, StoreError) as error:
        raise UsageError(f"Nothing can be rolled back from this host: {error}") from error
    if not ended.settled:
        say(f"{subject} is unsettled: {'; '.join(ended.faults)}", "bold red")
        say("Mend that, then run the same command again: it goes on where it stopped.")
        return Exit.UNSETTLED
    say(f"{subject} was rolled back without the server, as turn {ended.turn}, by {by}.", "bold green")
    say("The lane learns of it once the worker on this host reaches the server again. Then:")
    say_commands([f"towpath status {subject.service} {subject.environment}"])
    return Exit.DONE


async def _about_the_engine(place: Surroundings, subject: Subject, *, even_so: bool) -> str:
    """Say why the engine is not asked. Raises ``DeclinedError`` where it could be, and nobody insists."""
    from temporalio.service import RPCError, RPCStatusCode

    from clients.connection import connect
    from domain.names import lane_id

    try:
        lives = spaces_of(place).get(subject.environment)
        client = await asyncio.wait_for(connect(place.state, space=lives), PATIENCE)
    except (NoServerError, TimeoutError):
        return "No server answers, as expected: rolling back from the release store."
    except ClientError as error:
        return f"No server can be asked ({error}), so it is rolled back from the release store."
    try:
        await asyncio.wait_for(client.get_workflow_handle(lane_id(subject)).query("status"), PATIENCE)
    except (RPCError, TimeoutError) as error:
        if not isinstance(error, RPCError) or error.status is not RPCStatusCode.NOT_FOUND:
            return f"A server answers, but not the lane of {subject}: rolling back from the release store."
        if not even_so:
            raise DeclinedError(
                f"The server on {client.service_client.config.target_host} answers, and has no lane of {subject}: "
                "it is another one, or has lost its file. Name the right one in TEMPORAL_ADDRESS, or roll back "
                "from the release store all the same: add --even-so."
            ) from error
    if not even_so:
        raise DeclinedError(
            f"The server answers, and so does the lane of {subject}: let it do this, in its order and on its "
            f"record: towpath rollback {subject.service} {subject.environment} --watch. Where it cannot, "
            "add --even-so."
        )
    return "A server answers; it is not asked, as you said."
