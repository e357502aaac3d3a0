"""Watching on while the server is away for a while."""

from collections.abc import Awaitable, Callable

import pytest
from temporalio.service import RPCError, RPCStatusCode

from clients import watching
from clients.trouble import AwayError, NoServerError
from clients.watching import patiently

CUT_OFF = RPCError("transport error", RPCStatusCode.UNKNOWN, b"")
REFUSED = RPCError("no such thing", RPCStatusCode.UNKNOWN, b"")


def failing(*errors: Exception) -> Callable[[], Awaitable[str]]:
    """Fail in these ways, one after the other, and then answer."""
    left = list(errors)

    async def asking() -> str:
        if left:
            raise left.pop(0)
        return "answered"

    return asking


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "ASK_AGAIN_AFTER", 0.001)


async def test_a_server_that_comes_back_is_asked_again() -> None:
    """However it was found to be away: cut off in the middle of a call, or in words."""
    assert await patiently(failing(CUT_OFF, AwayError("it stopped answering"), CUT_OFF)) == "answered"


@pytest.mark.parametrize("error", [REFUSED, NoServerError("it has no such namespace")])
async def test_what_is_refused_is_not_asked_again(error: Exception) -> None:
    """Waiting would not help."""
    with pytest.raises(type(error), match="no such"):
        await patiently(failing(error))


async def test_a_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever watches is told in the end."""
    monkeypatch.setattr(watching, "AWAY", 0.05)
    with pytest.raises(AwayError):
        await patiently(failing(*[AwayError("it stopped answering")] * 1000))
