"""Many random lives of a lane: ``python -m tests.domain.lane_model --count 1000000``.

Each takes a ``World``, the real rules of ``domain.lane`` among a pretended store, clock, askers and changes,
through one interleaving, and then lets everything come to rest. A failure names the seed that repeats it.
"""

import argparse
import sys
import time
from collections.abc import Callable
from random import Random

from tests.domain.lane_world import ASKERS, MESSAGES_KEPT, STORIES, WORDS, World


def walk(seed: int, steps: int = 30) -> int:
    """Take a new world through one interleaving and to its rest; return how many turns it gave."""
    world, rng = World(), Random(seed)
    pick, below = rng.choice, rng.random
    happenings: list[tuple[int, Callable[[], None]]] = [
        (20, lambda: world.ask(pick(ASKERS), pick(STORIES))),
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
    return len(world.turns)


def walk_many(first: int, count: int) -> int:
    """Walk one interleaving for every seed from the first on; a failure names its seed."""
    turns = 0
    for seed in range(first, first + count):
        try:
            turns += walk(seed)
        except AssertionError as error:
            error.add_note(f"repeat it with: python -m tests.domain.lane_model --seed {seed} --count 1")
            raise
    return turns


def main() -> None:
    parser = argparse.ArgumentParser(description="Look for a life of a lane in which it breaks a promise.")
    parser.add_argument("--count", type=int, default=1_000_000, help="how many interleavings")
    parser.add_argument("--seed", type=int, default=0, help="the first one's seed; the next is one more")
    given = parser.parse_args()
    began, turns, batch = time.monotonic(), 0, 50_000
    for done in range(0, given.count, batch):
        size = min(batch, given.count - done)
        turns += walk_many(given.seed + done, size)
        seconds = time.monotonic() - began
        sys.stdout.write(f"{done + size} interleavings, {turns} turns, nothing found, {seconds:.0f} s\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
