"""Steering whatever goes by an id: a promotion, a lane or a change."""

from typing import Final

from activities.spaces import Anywhere
from clients.overview import Overview, look
from clients.speaking import made, tell
from clients.trouble import DeclinedError, NobodyPollsError, UsageError
from domain.doors import Does, Signal, Word, at_change, at_promotion
from domain.outcome import Phase

STEERED: Final = ("promotion", "lane", "change")


async def why_not(client: Anywhere, workflow_id: str, signal: Signal) -> str:
    """Say why this would be refused where it stands now, or nothing where it would be taken.

    The workflow judges for itself once it hears the signal; this way its sender hears why at once.
    Raises ``UsageError`` where there is nothing of this id, ``NobodyPollsError`` where nobody answers for it.
    """
    if workflow_id.split("/", maxsplit=1)[0] not in STEERED:
        raise UsageError(f"“{workflow_id}” is not steered: promotions, lanes and changes are.")
    seen = await look(client, workflow_id)
    if not seen.is_open:
        return f"it has ended ({seen.state})"
    if seen.trouble:
        raise NobodyPollsError(f"{workflow_id} is there, but {seen.trouble}")
    return _judge(seen, signal)


def _judge(seen: Overview, signal: Signal) -> str:
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
    return at_change(seen.change.phase, signal)[1]


async def steer(client: Anywhere, workflow_id: str, signal: Signal, *, by: str, comment: str = "") -> None:
    """Send the word. Raises ``DeclinedError`` where it has ended meanwhile."""
    word = made(Word, by=by, comment=comment)
    gone = DeclinedError(f"{workflow_id} has ended, and takes no word. See: towpath status {workflow_id}")
    await tell(client.get_workflow_handle(workflow_id), signal, word, gone)
