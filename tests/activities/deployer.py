"""A program that keeps the contract of a command target: its world is one JSON file, its fence is its own."""

import fcntl
import json
import sys
from pathlib import Path
from typing import Any

REFUSED, STALE = 10, 11


def main(world: Path) -> int:
    told = json.load(sys.stdin)
    with world.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads(world.read_text()) if world.exists() else {"held": None, "fence": None, "deeds": 0}
        if told["verb"] == "observe":
            answer = {name: state[name] for name in ("held", "fence")} | {
                "capture": {"deeds": state["deeds"]}
            }
            sys.stdout.write(json.dumps(answer))
            return 0
        return change(world, state, told)


def change(world: Path, state: dict[str, Any], told: dict[str, Any]) -> int:
    fence, seen = told["fence"], state["fence"]
    if seen and (seen["turn"], seen["act"]) > (fence["turn"], fence["act"]):
        sys.stderr.write(f"deed {fence} is older than {seen}\n")
        return STALE
    if seen == fence:
        return 0
    held = {name: told[name] for name in ("version", "release", "digest")} if told["release"] else None
    sys.stdout.write(f"{told['verb']} {told['version']}\n")
    world.write_text(json.dumps({"held": held, "fence": fence, "deeds": state["deeds"] + 1}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
