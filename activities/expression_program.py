"""A program of its own, in which expressions are evaluated: whatever they do, they do it to this process.

It reads lines of JSON, ``{"facts": …}`` first and then ``{"expression": …}`` for each, and answers each of those with
a line: ``{"value": true}`` or ``{"why": "…"}``. It is run by its path and imports nothing of ours.
"""

import functools
import importlib.util
import json
import resource
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

MEMORY = 512 * 1024 * 1024
"""Bytes of address space."""
PROCESSOR = 60
"""Seconds of processor time, should nobody be left to stop it."""


@functools.cache
def library() -> Any:
    """Return the expression library: the compiled half, without the command line that it loads beside that."""
    package = importlib.util.find_spec("cel")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for file in sorted(Path(folder).glob("cel.*")):
            spec = importlib.util.spec_from_file_location("cel", file)
            if file.suffix in {".so", ".pyd"} and spec and spec.loader:
                found = importlib.util.module_from_spec(spec)
                spec.loader.exec_module(found)
                return found
    return importlib.import_module("cel")


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (PROCESSOR, PROCESSOR))
    cel = library()
    told = json.loads(sys.stdin.readline())
    facts = _read(told["facts"], frozenset(told["times"]))
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_answer(cel, json.loads(line)["expression"], facts)) + "\n")
        sys.stdout.flush()


def _answer(cel: Any, expression: str, facts: Any) -> Mapping[str, object]:
    try:
        value = cel.evaluate(expression, facts)
    # The library raises whatever fits: this is the answer, and not ours to tell apart.
    except Exception as error:  # noqa: BLE001
        return {"why": _say(error)}
    if not isinstance(value, bool):
        return {"why": f"it comes to {str(value)[:60]}, which is neither true nor false"}
    return {"value": value}


def _say(error: Exception) -> str:
    """Say what the library found, in one short line."""
    match error:
        case KeyError():
            return f"there is no “{str(error).strip(chr(39))[:60]}”"
        case ZeroDivisionError():
            return "it divides by zero"
        case TypeError():
            return "it compares or joins what does not go together, such as a number and a text"
        case _:
            return str(error).splitlines()[0][:200]


def _read(content: Any, times: frozenset[str]) -> Any:
    """Make times of the texts that are times."""
    if isinstance(content, list):
        return [_read(one, times) for one in content]
    if not isinstance(content, dict):
        return content
    return {
        key: datetime.fromisoformat(value) if key in times and isinstance(value, str) else _read(value, times)
        for key, value in content.items()
    }


if __name__ == "__main__":
    main()
