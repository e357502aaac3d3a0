"""What a status says on a terminal, of what is known."""

from typing import Any

import pytest
from temporalio.service import RPCError, RPCStatusCode

from clients import speaking
from clients.cli.advising import remedies
from clients.cli.showing import as_before, show, where
from clients.overview import Overview
from clients.speaking import hear_status
from domain.actor import Actor, Proof
from domain.answer import Ask
from domain.environment import Absent, Placement
from domain.fence import Fence
from domain.gate import Freeze, Pin
from domain.outcome import Phase
from domain.status import EnvironmentStatus, LaneStatus, PromotionStatus
from domain.terms import Request
from tests.domain.strategies import NOON, digest
from tests.domain.test_clearance import SUBJECT

LANE = LaneStatus(
    subject=SUBJECT,
    phase=Phase.BUSY,
    queue=tuple(
        Ask(
            asker=f"promotion/shop/production/{version}",
            number=1,
            request=Request(subject=SUBJECT, version=version, actor=Actor(name="ana")),
            since=NOON,
            dated=NOON,
        )
        for version in ("2.0", "3.0")
    ),
)


def seen(version: str) -> Overview:
    promotion = PromotionStatus(
        subject=SUBJECT, version=version, phase=Phase.IN_LANE, since=NOON, waits_for="its turn"
    )
    return Overview(
        id=f"promotion/shop/production/{version}", state="running", promotion=promotion, lane=LANE
    )


def test_who_waits_for_the_lane_is_told_their_place(capsys: pytest.CaptureFixture[str]) -> None:
    """And so is who watches; who does not wait there has none."""
    show(seen("3.0"))

    said = capsys.readouterr().out
    assert "waits: promotion 2.0 for ana (claimed, not proven)\n" in said
    assert "waits: promotion 3.0 for ana (claimed, not proven): it is number 2 of 2 in the queue\n" in said
    assert where(seen("2.0")) == "in the lane: its turn, number 1 in the queue"
    assert where(seen("4.0")) == "in the lane: its turn"


def test_a_frozen_environment_names_what_opens_it() -> None:
    """Signed where it was shut by a signed word."""
    olga = Actor(name="olga")
    freeze = Freeze(by=olga.but(proof=Proof.SSH_SIGNATURE), reason="fair", since=NOON)
    pins = {"shop": Pin(by=olga, reason="fair", since=NOON)}
    status = EnvironmentStatus(environment="production", freeze=freeze, pins=pins)

    told = remedies(Overview(id="environment/production", state="running", environment=status))

    assert list(told) == ["towpath thaw production --key ~/.ssh/id_ed25519", "towpath unpin shop production"]


class _Starting:
    """A workflow whose engine has just been started: the server does not know of it yet."""

    def __init__(self, silences: int) -> None:
        self.left = silences

    async def query(self, *_: object, **__: object) -> LaneStatus:
        self.left -= 1
        if self.left >= 0:
            raise RPCError("no poller", RPCStatusCode.FAILED_PRECONDITION, b"")
        return LANE


@pytest.mark.parametrize(
    ("brought_by", "moving", "says"),
    [(7, None, False), (7, 9, True), (9, 9, False), (10, 9, False), (None, 9, True)],
)
def test_what_a_turn_has_brought_is_not_what_stood_before_it(
    brought_by: int | None, moving: int | None, *, says: bool
) -> None:
    there = Placement(
        version="1.0", release=digest("a"), artifact=digest("b"), fence=Fence(turn=brought_by or 1, act=1)
    )
    holding = there if brought_by else Absent()

    assert bool(as_before(holding, moving)) == says


@pytest.mark.parametrize(("silences", "answers"), [(0, True), (1, True), (2, False)])
async def test_an_engine_that_has_just_been_started_is_asked_once_more(
    monkeypatch: pytest.MonkeyPatch, silences: int, *, answers: bool
) -> None:
    """One that is not there is taken for away after that."""
    monkeypatch.setattr(speaking, "A_MOMENT", 0.01)
    handle: Any = _Starting(silences)

    assert (await hear_status(handle, LaneStatus) is not None) == answers
