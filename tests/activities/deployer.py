"""A program that keeps the contract of a command target: its world is one JSON file, its fence is its own."""

import fcntl
import json
import sys
from pathlib import Path

REFUSED, STALE = 10, 11


def main(world: Path) -> int:
    told = json.load(sys.stdin)
    with world.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = json.loads(world.read_text()) if world.exists() else {"held": None, "fence": None, "deeds": 0}
        if told["verb"] == "observe":
            print(json.dumps({name: state[name] for name in ("held", "fence")} | {"capture": {"deeds": state["deeds"]}}))
            return 0
        return change(world, state, told)


def change(world: Path, state: dict, told: dict) -> int:
    fence, seen = told["fence"], state["fence"]
    if seen and (seen["turn"], seen["act"]) > (fence["turn"], fence["act"]):
        print(f"deed {fence} is older than {seen}", file=sys.stderr)
        return STALE
    if seen == fence:
        return 0
    held = {name: told[name] for name in ("version", "release", "digest")} if told["release"] else None
    print(f"{told['verb']} {told['version']}")
    world.write_text(json.dumps({"held": held, "fence": fence, "deeds": state["deeds"] + 1}))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
