"""Steering whatever goes by an id: a promotion, a lane or a change."""

from typing import Final

from activities.spaces import Anywhere, client_for
from clients.hearing import Ear
from clients.overview import Overview, look
from clients.signing import Signer
from clients.speaking import made, tell
from clients.trouble import DeclinedError, NobodyPollsError, UsageError
from domain.doors import Does, Signal, Word, at_change, at_promotion
from domain.names import ENVIRONMENT, SERVICE, change_id, promotion_id
from domain.outcome import Phase
from domain.saying import steering
from domain.status import ChangeStatus, PromotionStatus
from domain.workflow_types import CHANGES

STEERED: Final = ("promotion", "lane", "change")


async def why_not(client: Anywhere, workflow_id: str, signal: Signal) -> str:
    """Say why this would be refused where it stands now, or nothing where it would be taken.

    The workflow judges for itself once it hears the signal; this way its sender hears why at once.
    Raises ``UsageError`` where there is nothing of this id, ``NobodyPollsError`` where nobody answers for it.
    """
    return _judge(await _seen(client, workflow_id), workflow_id, signal)


async def _seen(client: Anywhere, workflow_id: str) -> Overview:
    if workflow_id.split("/", maxsplit=1)[0] not in STEERED:
        raise UsageError(f"“{workflow_id}” is not steered: promotions, lanes and changes are.")
    return await look(client, workflow_id)


async def _stray_of(client: Anywhere, seen: Overview) -> str:
    """Return the change that still runs of an earlier lane, where this one waits for it: it hears its words itself."""
    if not seen.is_open or seen.lane is None or seen.lane.turn is not None:
        return ""
    subject = seen.lane.subject
    query = f"{CHANGES} AND {SERVICE}='{subject.service}' AND {ENVIRONMENT}='{subject.environment}'"
    strays = [row.id async for row in client_for(client, seen.id).list_workflows(query)]
    return strays[0] if strays else ""


def _judge(seen: Overview, workflow_id: str, signal: Signal) -> str:
    if not seen.is_open:
        return f"it has ended ({seen.state})"
    if seen.trouble:
        raise NobodyPollsError(f"{workflow_id} is there, but {seen.trouble}")
    if seen.promotion:
        does, why = at_promotion(seen.promotion.phase, signal)
        if does is not Does.PASS_ON:
            return why
        if not seen.has_own_change:
            return "its change has not begun"
    if seen.change is None:
        return "no change is under way" if seen.lane and seen.lane.turn is None else ""
    if seen.change.phase is Phase.ENDED:
        return ""
    return at_change(Phase.HELD if seen.change.will_hold else seen.change.phase, signal)[1]


async def steer(  # noqa: PLR0913 - what a word consists of
    client: Anywhere,
    workflow_id: str,
    signal: Signal,
    *,
    by: str,
    comment: str = "",
    signer: Signer | None = None,
) -> str:
    """Send the word, hear what becomes of it, and return whom it was said to: a lane's stray change hears it itself.

    ``signer`` signs it with the sender's key, where the environment asks for that: for the change of this turn, or
    for the promotion that waits. Raises ``DeclinedError`` where it would not be taken, is refused, or comes too late.
    """
    seen = await _seen(client, workflow_id)
    if stray := await _stray_of(client, seen):
        workflow_id, seen = stray, await _seen(client, stray)
    if refused := _judge(seen, workflow_id, signal):
        raise DeclinedError(f"{workflow_id} would not take {signal}: {refused}.")
    word = made(Word, by=by, comment=comment)
    hearer = _hearer(seen)
    if signer and hearer:
        saying = steering(_id_of(hearer), hearer.subject, signal, word)
        word = word.but(signed=signer.sign_word(saying))
    gone = DeclinedError(
        f"{workflow_id} has ended, so that {signal} comes too late. See: towpath status {workflow_id}"
    )
    ear = await Ear.at(client, _id_of(hearer) if hearer else workflow_id)
    await tell(client.get_workflow_handle(workflow_id), signal, word, gone)
    await ear.hear(signal)
    return workflow_id


def _hearer(seen: Overview) -> ChangeStatus | PromotionStatus | None:
    """Return who takes the word in the end: the change under way, else the promotion itself."""
    waits = seen.promotion and seen.promotion.phase is Phase.WAITING_FOR_GATE
    return seen.promotion if waits else seen.change


def _id_of(hearer: ChangeStatus | PromotionStatus) -> str:
    if isinstance(hearer, PromotionStatus):
        return promotion_id(hearer.subject, hearer.version)
    return change_id(hearer.subject, hearer.turn)
