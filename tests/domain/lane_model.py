"""Many random lives of a lane: ``python -m tests.domain.lane_model --count 1000000``.

Each takes a ``World``, the real rules of ``domain.lane`` among a pretended store, clock, askers and changes,
through one interleaving, and then lets everything come to rest. A failure names the seed that repeats it.
"""

import argparse
import sys
import time
from collections.abc import Callable
from random import Random
from typing import NamedTuple

from tests.domain.lane_world import AGES, ASKERS, LANES, MESSAGES_KEPT, STORIES, WORDS, World


class Tally(NamedTuple):
    """What came to pass."""

    turns: int = 0
    turned_away: int = 0
    yielded: int = 0

    def __str__(self) -> str:
        return (
            f"{self.turns} turns, {self.turned_away} turned away, {self.yielded} looks at a soak that yields"
        )

    def plus(self, other: "Tally") -> "Tally":
        return Tally(*map(sum, zip(self, other, strict=True)))


def walk(seed: int, steps: int = 30) -> Tally:
    """Take a new world through one interleaving and to its rest; return what came to pass."""
    world, rng = World(), Random(seed)
    pick, below = rng.choice, rng.random
    happenings: list[tuple[int, Callable[[], None]]] = [
        (20, lambda: world.ask(pick(ASKERS), pick(STORIES), pick(LANES), pick(AGES))),
        (8, lambda: world.repeat(int(below() * MESSAGES_KEPT))),
        (5, lambda: world.withdraw(pick(ASKERS))),
        (2, lambda: world.forget(pick(ASKERS))),
        (25, world.start),
        (12, world.journal),
        (20, lambda: world.answer(pick(WORDS))),
        (7, lambda: world.lose(int(below() * 4))),
        (3, world.die),
        (12, world.recall),
        (5, lambda: world.stray(stands=below() < 0.5, leaves=below() < 0.7)),
        (5, lambda: world.tick(int(below() * 9000) - 4000)),
    ]
    weights = [weight for weight, _ in happenings]
    for _, happens in rng.choices(happenings, weights, k=steps):
        happens()
        world.check()
    world.come_to_rest(lambda: pick(WORDS))
    return Tally(len(world.turns), world.turned_away, world.yielded)


def walk_many(first: int, count: int) -> Tally:
    """Walk one interleaving for every seed from the first on; a failure names its seed."""
    tally = Tally()
    for seed in range(first, first + count):
        try:
            tally = tally.plus(walk(seed))
        except AssertionError as error:
            error.add_note(f"repeat it with: python -m tests.domain.lane_model --seed {seed} --count 1")
            raise
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description="Look for a life of a lane in which it breaks a promise.")
    parser.add_argument("--count", type=int, default=1_000_000, help="how many interleavings")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed; the next is one more")
    given = parser.parse_args()
    began, tally, batch = time.monotonic(), Tally(), 50_000
    for done in range(0, given.count, batch):
        size = min(batch, given.count - done)
        tally = tally.plus(walk_many(given.seed + done, size))
        seconds = time.monotonic() - began
        sys.stdout.write(f"{done + size} interleavings, {tally}, nothing found, {seconds:.0f} s\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
