"""What stands where: a list from visibility, and a question for each thing that is shown, a few at a time."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

from pydantic import ValidationError
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.service import RPCError

from activities.archive import Archive
from activities.asking import ask_status
from activities.clock import SystemClock
from activities.ports import SealError, StoreError
from activities.spaces import Spaces
from clients.environment import Environment
from clients.lane import Lane
from clients.overview import Row, list_rows
from clients.speaking import count_pollers, is_missing
from clients.trouble import NobodyPollsError
from domain.answer import Ask
from domain.approval import Verdict
from domain.environment import Placement
from domain.inventory import (
    EnvironmentList,
    EnvironmentSummary,
    EnvironmentView,
    Place,
    ServiceList,
    Stand,
    Waiting,
    health_of,
)
from domain.journal import Receipt
from domain.names import ENVIRONMENT, SERVICE, STORY, Subject, effects_queue, promotion_id
from domain.outcome import Phase
from domain.status import EnvironmentStatus, PromotionStatus
from domain.windows import Schedule

AT_ONCE: Final = 8
"""How many questions are under way at the same time."""
CHANGES: Final = ("deploy", "rollback", "adoption", "settlement")

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")


async def list_environments(spaces: Spaces, configured: Mapping[str, Schedule]) -> EnvironmentList:
    """List the environments that are configured here, or that the server has lanes or freezes of."""
    rows = await _open(spaces)
    lanes = Counter(row.environment for row in rows if row.story == "lane")
    phases = Counter((row.environment, row.phase) for row in rows if row.story == "lane")
    # Lanes do not publish that they are busy: their changes show it.
    busy = Counter(row.environment for row in rows if row.story in CHANGES)
    known = {row.environment for row in rows}

    async def sum_up(name: str) -> EnvironmentSummary:
        status, trouble = await _freeze(spaces, name)
        return EnvironmentSummary(
            environment=name,
            lanes=lanes[name],
            busy=busy[name],
            unsettled=phases[name, Phase.UNSETTLED],
            freeze=status.freeze if status else None,
            planned=configured[name].say(SystemClock().now()) if name in configured else "",
            pinned=tuple(sorted(status.pins)) if status else (),
            workers=await count_workers(spaces, name),
            trouble=trouble,
        )

    names = sorted({*configured, *known} - {""})
    return EnvironmentList(environments=tuple(await ask_each(names, sum_up)))


async def view_environment(
    spaces: Spaces, name: str, services: Iterable[str], archive: Archive | None
) -> EnvironmentView:
    """Return all that is known of an environment, with the services that are to go there."""
    rows = await _open(spaces, f" AND {ENVIRONMENT}='{name}'")
    there = {row.service for row in rows if row.story == "lane"}
    (status, trouble), workers = await asyncio.gather(_freeze(spaces, name), count_workers(spaces, name))
    unread: list[str] = []

    async def view(service: str) -> Place:
        subject = Subject(service=service, environment=name)
        place = await _place(spaces, subject) if service in there else _empty(subject)
        return await _with_papers(spaces, place, archive, unread)

    pins = status.pins if status else {}
    places = await ask_each(sorted({*services, *there, *pins}), view)
    return EnvironmentView(
        environment=name,
        freeze=status.freeze if status else None,
        workers=workers,
        places=tuple(place.but(pin=pins.get(place.service)) for place in places),
        trouble=trouble,
        unread=tuple(unread),
    )


async def list_services(spaces: Spaces, configured: Sequence[Subject], service: str = "") -> ServiceList:
    """List every service with its environments and what each of them holds; or one service alone."""
    rows = await _open(spaces, f" AND {SERVICE}='{service}'" if service else "")
    there = {
        Subject(service=row.service, environment=row.environment): row for row in rows if row.story == "lane"
    }
    # In the order of the road, where there is one; what the folder knows nothing of comes after it.
    strangers = sorted((one for one in there if one not in configured), key=str)
    wanted = [one for one in (*configured, *strangers) if service in {"", one.service}]

    async def view(subject: Subject) -> Place:
        return await _place(spaces, subject) if subject in there else _empty(subject)

    places = await ask_each(wanted, view)
    return ServiceList(places=tuple(sorted(places, key=lambda place: place.service)))


async def _open(spaces: Spaces, narrowed: str = "") -> list[Row]:
    stories = ", ".join(f"'{story}'" for story in ("lane", "environment", *CHANGES))
    query = f"{STORY} IN ({stories}) AND ExecutionStatus='Running'{narrowed}"
    return await list_rows(spaces, query)


async def ask_each(items: Sequence[ItemT], ask: Callable[[ItemT], Awaitable[AnswerT]]) -> list[AnswerT]:
    """Ask about all of them, a few at a time; the answers are in their order."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(item: ItemT) -> AnswerT:
        async with places:
            return await ask(item)

    return list(await asyncio.gather(*map(one, items)))


async def _freeze(spaces: Spaces, name: str) -> tuple[EnvironmentStatus | None, str]:
    try:
        return (await Environment(spaces.of(name), name).status()).at(SystemClock().now()), ""
    except NobodyPollsError as error:
        return None, str(error)


async def count_workers(spaces: Spaces, name: str) -> int:
    return await count_pollers(
        spaces.of(name), effects_queue(name), TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY, looks=1
    )


def _empty(subject: Subject) -> Place:
    return Place(service=subject.service, environment=subject.environment)


async def _place(spaces: Spaces, subject: Subject) -> Place:
    try:
        lane = await Lane(spaces.of(subject.environment), subject).find()
    except NobodyPollsError as error:
        return _empty(subject).but(trouble=str(error))
    if lane is None:
        return _empty(subject)
    return Place(
        service=subject.service,
        environment=subject.environment,
        phase=lane.phase,
        stands=tuple(Stand(component=name, holding=held) for name, held in lane.held.items()),
        running=_waiting(lane.running) if lane.running else None,
        queue=tuple(map(_waiting, lane.queue)),
        unsettled=lane.unsettled,
    )


def _waiting(ask: Ask) -> Waiting:
    request = ask.request
    return Waiting(
        story=request.story,
        version=request.version or "",
        by=request.actor.name,
        signed=request.signature is not None,
    )


async def _with_papers(spaces: Spaces, place: Place, archive: Archive | None, unread: list[str]) -> Place:
    """Add who let in what stands there, and how well it was found, as far as receipts and promotions say."""
    receipts: dict[int, Receipt] = {}
    if archive:
        try:
            place, receipts = await _proven(archive, place)
        except (SealError, StoreError) as error:
            unread.append(str(error))
        except ValidationError:
            unread.append(
                f"A receipt of {place.subject} cannot be read: it is damaged, or of a newer Towpath."
            )
    held = {one.holding.version for one in place.stands if isinstance(one.holding, Placement)}
    statuses = {version: await _promotion(spaces, place.subject, version) for version in sorted(held)}
    return place.but(stands=tuple(_let_in(one, receipts, statuses) for one in place.stands))


async def _proven(archive: Archive, place: Place) -> tuple[Place, dict[int, Receipt]]:
    """Return the place with its newest receipt's word, and the receipts of the turns that still stand."""
    newest = await archive.newest_receipts(place.subject, 1)
    if newest:
        after = tuple(Stand(component=name, holding=held) for name, held in newest[0].after.items())
        place = place.but(health=health_of(newest[0]), stands=place.stands or after)
    fences = [one.holding.fence for one in place.stands if isinstance(one.holding, Placement)]
    receipts: dict[int, Receipt] = {}
    for turn in {fence.turn for fence in fences if fence}:
        if receipt := await archive.receipt(place.subject, turn):
            receipts[turn] = receipt
    return place, receipts


def _let_in(stand: Stand, receipts: dict[int, Receipt], statuses: dict[str, PromotionStatus | None]) -> Stand:
    """Say who asked and who approved, by the receipt; else by the promotion, where its turn is the one that stands."""
    held = stand.holding
    if not isinstance(held, Placement) or held.fence is None:
        return stand
    turn, status = held.fence.turn, statuses[held.version]
    receipt = receipts.get(turn)
    by = receipt.actor.name if receipt else ""
    if receipt and (receipt.approved_by or receipt.has_proven_names):
        return stand.but(by=by, approved_by=receipt.approved_by, proven=receipt.has_proven_names)
    if status is None or status.turn != turn:
        return stand.but(by=by)
    approved = tuple(vote.actor.name for vote in status.decisions if vote.verdict is Verdict.APPROVE)
    return stand.but(by=by or (status.request.actor.name if status.request else ""), approved_by=approved)


async def _promotion(spaces: Spaces, subject: Subject, version: str) -> PromotionStatus | None:
    """Ask the promotion that brought a release, as long as the server keeps it."""
    try:
        return await ask_status(spaces.get_workflow_handle(promotion_id(subject, version)), PromotionStatus)
    except RPCError as error:
        if is_missing(error):
            return None
        raise
