"""Having an environment's worker hear what people say, where its terms ask for that."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.exceptions import TimeoutError as TimedOut

from workflows.doorkeeper import RefusedError

with workflow.unsafe.imports_passed_through():
    from activities.effects import EffectActivities
    from domain.actor import Proof
    from domain.names import effects_queue
    from domain.override import OverrideOrder
    from domain.saying import Heard, Saying
    from workflows import patience

SaidT = TypeVar("SaidT", Saying, OverrideOrder)

MOST_REMEMBERED: Final = 100
"""Words; each counts for an hour from when it was signed."""


def refuse_if_unheard(failure: ActivityError, environment: str, what: str) -> None:
    """Raise ``RefusedError`` where a worker had its time for a word, and did not come."""
    if isinstance(failure.cause, TimedOut):
        message = f"no worker of {environment} has {what} again when one is there"
        raise RefusedError(message) from failure


class Guard:
    """Takes each word once, and only where the environment's worker finds nothing against it."""

    def __init__(self) -> None:
        self.taken: tuple[str, ...] = ()
        self._hearing = 0

    async def admit(self, saying: Saying) -> Proof:
        """Return how far the sender is known. Raises ``RefusedError`` with the rule that the word breaks."""
        self._refuse_twice(saying)
        asks = f"may {saying.by[:60]} {saying.door}?"
        proof = await self._ask(EffectActivities.hear, saying, saying.environment, asks)
        self._refuse_twice(saying)
        if saying.signed:
            self.taken = (*self.taken, saying.signed.nonce)[-MOST_REMEMBERED:]
        return proof

    async def admit_override(self, order: OverrideOrder) -> Proof:
        """Do the same for an override. Whether it was said before, whoever remembers them knows."""
        asks = f"may {order.word.by[:60]} override?"
        return await self._ask(EffectActivities.hear_override, order, order.environment, asks)

    async def _ask(
        self,
        hearing: Callable[[EffectActivities, SaidT], Awaitable[Heard]],
        said: SaidT,
        environment: str,
        asks: str,
    ) -> Proof:
        if self._hearing >= patience.CHECKED_AT_ONCE:
            message = "too many words are being looked at; say it again in a minute"
            raise RefusedError(message)
        self._hearing += 1
        try:
            heard = await workflow.execute_activity_method(
                hearing,
                said,
                task_queue=effects_queue(environment),
                start_to_close_timeout=patience.PROVING,
                schedule_to_close_timeout=patience.HEARING,
                retry_policy=patience.TRY_SOON,
                summary=asks,
            )
        except ActivityError as failure:
            refuse_if_unheard(failure, environment, "said whether you may; say it")
            raise
        finally:
            self._hearing -= 1
        if heard.why:
            raise RefusedError(heard.why)
        return heard.proof

    def _refuse_twice(self, saying: Saying) -> None:
        if saying.signed and saying.signed.nonce in self.taken:
            message = "the very same word was taken before; who means it again signs again"
            raise RefusedError(message)
