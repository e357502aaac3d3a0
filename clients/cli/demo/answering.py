"""Letting a promotion into production: by the person at the terminal, or by a client of its own."""

from typing import Final

from clients.cli.demo.processes import DemoError, find_program, said_by
from clients.cli.demo.scene import Scene
from clients.cli.demo.telling import Telling, typed
from clients.promotion import Promotion
from domain.doors import Signal
from domain.terms import Proposal
from domain.value import canonical, short
from workers.server import temporal_binary

RELEASED_BY: Final = "grace@example.com"
YOU: Final = "ada@example.com"
"""Both may let releases into production; see the sample's ``towpath.yaml``."""
ASKED_ABOUT: Final = "2.0.0"
WITHIN: Final = 30.0


class Approver:
    """Answers for those who may. Only the second release is put before whoever sits at the terminal."""

    def __init__(self, scene: Scene, telling: Telling, *, yes: bool) -> None:
        self._scene = scene
        self._say = telling
        self._yes = yes
        self.said_no = False

    async def answer(self, promotion: Promotion, proposal: Proposal) -> None:
        digits = short(proposal.plan.intent)
        if promotion.version != ASKED_ABOUT:
            await self._by_towpath(promotion, digits)
            return
        agreed = None if self._yes else await self._say.asked(f"Let {promotion.version} in, as {YOU}?")
        match agreed:
            case None:
                await self._by_signal(promotion, digits)
            case True:
                await promotion.approve(digits, by=YOU)
            case False:
                self.said_no = True
                await promotion.reject(digits, by=YOU)

    async def _by_towpath(self, promotion: Promotion, digits: str) -> None:
        words = ["approve", *_words(promotion), "--plan", digits, "--by", RELEASED_BY]
        self._say.row("", "a second client, in a process of its own, answers:")
        await self._run([find_program("towpath", "towpath"), *words])

    async def _by_signal(self, promotion: Promotion, digits: str) -> None:
        """Send what the Temporal UI sends, too: a signal with one JSON object."""
        said = canonical({"by": YOU, "plan": digits})
        words = ["workflow", "signal", "--address", self._scene.server.address, "-w", promotion.id]
        words += ["--name", str(Signal.APPROVE), "--input", said]
        self._say.row("", "nobody is asked here, so a second client sends the signal:")
        await self._run([temporal_binary(self._scene.place.temporal_cli), *words])

    async def _run(self, command: list[str]) -> None:
        self._say.command([typed(command[0]), *command[1:]])
        said = await said_by(command, self._scene.variables, WITHIN)
        if said.code:
            raise DemoError(f"The second client ended with {said.code}: {said.text}")


def _words(promotion: Promotion) -> list[str]:
    return [promotion.subject.service, promotion.version, promotion.subject.environment]
