"""An environment, as those on duty see it: frozen, open, or with services pinned in it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from activities.labels import search_attributes
from clients.signing import Signer
from clients.speaking import (
    NO_ENGINE,
    START_ENGINE,
    hear_status,
    in_words,
    is_missing,
    made,
    tell,
)
from clients.trouble import DeclinedError, NobodyPollsError
from domain.doors import FreezeWord, PinWord, UnpinWord, Word
from domain.names import ENGINE_QUEUE, ENVIRONMENT, STORY, environment_id
from domain.override import OverrideWord
from domain.saying import Saying, freezing, pinning, thawing, unpinning
from domain.status import EnvironmentStatus
from domain.value import Value
from domain.workflow_types import ENVIRONMENT_WORKFLOW

WordT = TypeVar("WordT", FreezeWord, PinWord, UnpinWord, Word)


class Environment:
    """What holds for a whole environment. One that nobody ever froze has no workflow, and is open."""

    def __init__(self, client: Client, name: str) -> None:
        self.client = client
        self.name = name
        self.id = environment_id(name)
        self.handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(self.id)

    @in_words
    async def status(self) -> EnvironmentStatus:
        """Raises ``NobodyPollsError`` where nobody answers for it."""
        try:
            status = await hear_status(self.handle, EnvironmentStatus)
        except RPCError as error:
            if is_missing(error):
                return EnvironmentStatus(environment=self.name)
            raise
        if status is None:
            raise NobodyPollsError(
                f"The environment {self.name} is there, but {NO_ENGINE}, so nobody can say whether it is "
                f"frozen, and no forward step is taken. Start one: {START_ENGINE}"
            )
        return status

    @in_words
    async def freeze(
        self,
        reason: str,
        *,
        by: str,
        lasts: timedelta | str | None = None,
        signer: Signer | None = None,
    ) -> None:
        """Let no forward step begin, from now on; undos and rollbacks go on.

        ``signer`` signs the word with the sender's key, where the environment asks for that; so for the others here.
        """
        word = made(FreezeWord, by=by, reason=reason, lasts=lasts)
        await self._begin("freeze", _signed(word, freezing(self.name, word), signer))

    async def _begin(self, signal: str, word: Value) -> None:
        """Say it; an environment that has no workflow yet gets one by it."""
        await self.client.start_workflow(
            ENVIRONMENT_WORKFLOW,
            id=self.id,
            task_queue=ENGINE_QUEUE,
            start_signal=signal,
            start_signal_args=[word],
            static_summary=f"The environment {self.name}",
            search_attributes=search_attributes({ENVIRONMENT: self.name, STORY: "environment"}),
        )

    @in_words
    async def pin(  # noqa: PLR0913 - what a pin consists of
        self,
        service: str,
        reason: str,
        *,
        by: str,
        lasts: timedelta | str | None = None,
        release: str = "",
        signer: Signer | None = None,
    ) -> None:
        """Keep a service as it is here, from now on; ``release`` says what that is. Undos and rollbacks go on."""
        word = made(PinWord, by=by, service=service, reason=reason, lasts=lasts, release=release)
        await self._begin("pin", _signed(word, pinning(self.name, word), signer))

    def override_word(  # noqa: PLR0913 - what an override consists of
        self,
        service: str,
        gates: Sequence[str],
        reason: str,
        *,
        by: str,
        lasts: timedelta | str,
        version: str = "",
    ) -> OverrideWord:
        """Return what is to be said, to be signed first where the environment asks for that."""
        return made(
            OverrideWord,
            by=by,
            service=service,
            version=version,
            gates=tuple(dict.fromkeys(gates)),
            reason=reason,
            lasts=lasts,
        )

    @in_words
    async def override(self, word: OverrideWord) -> None:
        """Let a service past gates for a while. Whether it counts is judged at the effect."""
        await self._begin("override", word)

    @in_words
    async def unpin(self, service: str, *, by: str, comment: str = "", signer: Signer | None = None) -> None:
        """Let a service move again. Raises ``DeclinedError`` where nobody ever pinned anything here."""
        plain = made(UnpinWord, by=by, service=service, comment=comment)
        word = _signed(plain, unpinning(self.name, plain), signer)
        await tell(self.handle, "unpin", word, DeclinedError(f"{service} is not pinned in {self.name}."))

    @in_words
    async def thaw(self, *, by: str, comment: str = "", signer: Signer | None = None) -> None:
        """Let forward steps begin again. Raises ``DeclinedError`` where nobody ever froze it."""
        plain = made(Word, by=by, comment=comment)
        word = _signed(plain, thawing(self.name, plain), signer)
        await tell(self.handle, "thaw", word, DeclinedError(f"{self.name} is not frozen, and never was."))


def _signed(word: WordT, saying: Saying, signer: Signer | None) -> WordT:
    return word.but(signed=signer.sign_word(saying)) if signer else word
