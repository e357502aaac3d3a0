"""``towpath notify test``, and what the doctor says of notifications."""

import json
from collections.abc import AsyncIterator

import pytest

from domain.outcome import Exit
from tests.channels import Hook, closed_port
from tests.clients.conftest import CommandLine
from tests.workers.site import lay_out


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    async with Hook().open() as opened:
        yield opened


def configure(offline: CommandLine, hook: Hook) -> None:
    lay_out(offline.folder)
    (offline.folder / "towpath.yaml").write_text(
        "groups: {managers: [bo@example.com]}\n"
        f"channels:\n  hook: {hook.url}\n  down: json://127.0.0.1:{closed_port()}/\n  chat: env:CHAT_OF_OURS\n"
        "notify:\n  - {to: [hook, chat], events: [promoted]}\n  - {to: [down], severity: alarm}\n"
    )


async def test_each_channel_is_tried(offline: CommandLine, hook: Hook) -> None:
    """What came of each is said, and any that failed is an exit code of its own."""
    configure(offline, hook)

    ran = await offline.type("notify", "test")

    assert ran.code == Exit.UNTOLD
    assert "✓ hook: it took the notice" in ran.out
    assert "✗ Channel down did not take the notice" in ran.out
    assert "the variable CHAT_OF_OURS is not set" in ran.out
    assert hook.titles == ["Towpath: a test"]


async def test_one_channel_can_be_tried_alone(offline: CommandLine, hook: Hook) -> None:
    """Then the others do not matter; a program reads the same."""
    configure(offline, hook)

    ran = await offline.type("notify", "test", "--channel", "hook", "--json")

    assert ran.code == Exit.DONE
    assert json.loads(ran.out) == {
        "schema_version": 1,
        "trials": [{"channel": "hook", "told": True, "why": ""}],
    }


async def test_an_event_is_tried_where_it_would_go(offline: CommandLine, hook: Hook) -> None:
    """Only the channels that a route sends it to hear of it, as much as it matters."""
    configure(offline, hook)
    offline.set(CHAT_OF_OURS=f"{hook.url}/chat")

    ran = await offline.type("notify", "test", "--event", "promoted")

    assert ran.code == Exit.DONE
    assert sorted(hook.paths) == ["/hook", "/hook/chat"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--channel", "hock"), "There is no channel “hock”; did you mean hook?"),
        (("--event", "promotd"), "“promotd” is not an event; did you mean promoted?"),
        (("--event", "frozen"), "No route sends “frozen” to any channel."),
    ],
)
async def test_what_cannot_be_tried_is_said(
    offline: CommandLine, hook: Hook, words: tuple[str, ...], said: str
) -> None:
    """Misspelt channels and events, and events that nobody hears of."""
    configure(offline, hook)

    ran = await offline.type("notify", "test", *words)

    assert ran.code == Exit.USAGE
    assert said in " ".join(ran.err.split())
    assert hook.asked == 0


async def test_the_doctor_says_where_approvers_are_not_told(offline: CommandLine, hook: Hook) -> None:
    """An environment that asks people and tells nobody is named; one that tells is not."""
    configure(offline, hook)

    before = await offline.type("doctor")
    with (offline.folder / "towpath.yaml").open("a") as file:
        file.write("  - {to: [hook], events: [approval wanted]}\n")
    after = await offline.type("doctor")

    assert "notifications: dev wants approvals, and no route" in before.out
    assert "notifications: wherever approvals are wanted, somebody is told" in after.out
