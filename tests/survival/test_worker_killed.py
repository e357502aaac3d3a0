"""The worker of an environment is killed with -9, at every call of a port: the world ends as it should."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import pytest

from domain.outcome import Outcome
from domain.status import Report
from tests.survival.conftest import Builder
from tests.survival.harbour import Harbour
from tests.survival.process import Process

AT_ONCE = 16
ONE = ("site",)
TWO = ("site", "api")
SIGKILLED = -9

Story = Callable[[Harbour, Sequence[int]], Awaitable[Report]]


async def first_release(harbour: Harbour, kills: Sequence[int]) -> Report:
    """Promote where nothing ever was: the lane is born, and recalls."""
    harbour.controls.set("armed")
    return await _promoted("1.0.0", harbour, kills)


async def sick_release(harbour: Harbour, kills: Sequence[int]) -> Report:
    """Promote what turns out to be sick, where a good release stands."""
    worker = harbour.launch()
    assert (await harbour.promoted("1.0.0", harbour.dev)).outcome is Outcome.PROMOTED
    await worker.kill()
    harbour.controls.set("sick-2.0.0")
    harbour.controls.set("armed")
    return await _promoted("2.0.0", harbour, kills)


async def rehearsed_release(harbour: Harbour, kills: Sequence[int]) -> Report:
    """Promote where an older release stands and undos are rehearsed: placed, put back, placed again."""
    worker = harbour.launch()
    assert (await harbour.promoted("0.9.0", harbour.dev)).outcome is Outcome.PROMOTED
    await worker.kill()
    harbour.change_place(harbour.dev, rehearse=True)
    harbour.controls.set("armed")
    return await _promoted("1.0.0", harbour, kills)


async def _promoted(version: str, harbour: Harbour, kills: Sequence[int]) -> Report:
    """Promote while one worker after another is killed, each at its own call; the last one lives."""
    handle = await harbour.promote(version)
    ending = asyncio.create_task(_launch_again_and_again(harbour, kills))
    report: Report = await asyncio.wait_for(handle.result(), 100)
    ending.cancel()
    await harbour.until_idle()
    return report


async def _launch_again_and_again(harbour: Harbour, kills: Sequence[int]) -> None:
    for at in kills:
        process: Process = harbour.launch(at)
        assert await process.ended() == SIGKILLED
    harbour.launch()


async def ends_well(harbour: Harbour) -> None:
    """What the first release must have come to."""
    assert harbour.standing == ("1.0.0",) * len(harbour.components)


async def count_calls(build: Builder, story: Story, components: Sequence[str]) -> int:
    harbour = build(components)
    await story(harbour, ())
    await harbour.assert_sound()
    return len(harbour.calls)


async def sweep(
    build: Builder, story: Story, components: Sequence[str], expected: Outcome, every: int = 1
) -> int:
    """Tell the story once for every call of a port in it, killing the worker there; return how many that were."""
    points = await count_calls(build, story, components)
    await tell_all(build, story, components, expected, [(at,) for at in range(1, points + 1, every)])
    return points


def died_at(calls: Sequence[str], kills: Sequence[int]) -> bool:
    """Tell whether each worker died at its call, or the story was over before that.

    Nobody has to go on after the last calls: a record that its promotion could not close is closed by the next.
    """
    made = list(Counter(call.split()[0] for call in calls).values())
    return made[: len(kills)] == [*kills] or len(calls) < sum(kills)


async def tell_all(
    build: Builder,
    story: Story,
    components: Sequence[str],
    expected: Outcome,
    all_kills: Sequence[Sequence[int]],
) -> None:
    turnstile = asyncio.Semaphore(AT_ONCE)

    async def tell(kills: Sequence[int]) -> None:
        async with turnstile:
            harbour = build(components)
            report = await story(harbour, kills)
            try:
                assert report.outcome is expected, report.why
                await ends_well(harbour)
                await harbour.assert_sound()
                assert died_at(harbour.calls, kills)
            except AssertionError as error:
                calls = "\n".join(harbour.calls)
                error.add_note(f"killed at {kills} of:\n{calls}\nlanded: {harbour.landings}")
                raise

    endings = await asyncio.gather(*map(tell, all_kills), return_exceptions=True)
    if faults := [ending for ending in endings if isinstance(ending, Exception)]:
        raise ExceptionGroup("not everything survived", faults)


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
async def test_a_first_release_arrives_wherever_the_worker_is_killed(build: Builder, every: int) -> None:
    """Killed at any call of its first promotion, the worker that follows brings the release in, once."""
    points = await sweep(build, first_release, ONE, Outcome.PROMOTED, every)

    assert points > 30


@pytest.mark.parametrize("every", [11, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
async def test_a_sick_release_is_put_back_wherever_the_worker_is_killed(build: Builder, every: int) -> None:
    """Killed at any call of deploy, health check, undo and receipt, the worker that follows leaves what was before."""
    points = await sweep(build, sick_release, ONE, Outcome.ROLLED_BACK, every)

    assert points > 40


@pytest.mark.parametrize("every", [23, pytest.param(1, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
async def test_a_rehearsal_goes_on_wherever_the_worker_is_killed(build: Builder, every: int) -> None:
    """Killed at any call of first deploy, undo, second deploy and their looks, it is rehearsed and brought in."""
    points = await sweep(build, rehearsed_release, ONE, Outcome.PROMOTED, every)

    assert points > 70


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_two_sick_components_are_put_back_wherever_the_worker_is_killed(build: Builder) -> None:
    """A change of two components is undone as one, at whichever call of either it was interrupted."""
    points = await sweep(build, sick_release, TWO, Outcome.ROLLED_BACK)

    assert points > 70


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_two_components_arrive_wherever_the_worker_is_killed(build: Builder) -> None:
    """A first release of two components arrives whole."""
    points = await sweep(build, first_release, TWO, Outcome.PROMOTED)

    assert points > 50


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_any_number_of_kills_is_survived(build: Builder) -> None:
    """Three workers in a row die at whatever call they have got to, and the fourth ends what the first began."""
    chance = random.Random(20260101)
    kills = [tuple(chance.randint(1, 12) for _ in range(3)) for _ in range(60)]

    await tell_all(build, sick_release, TWO, Outcome.ROLLED_BACK, kills)
