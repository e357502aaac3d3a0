"""Policy expressions: what can be found wrong with one by reading it, and what it comes to, safely.

The library holds the interpreter while it works and knows no limit, so evaluation has a process of its own, which is
ended when an expression takes too long; the next one gets another.
"""

import asyncio
import functools
import json
import re
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import JsonValue

from activities import expression_program
from activities.expression_program import library
from domain.dossier import KNOWN, TIMES
from domain.risk import LONGEST_EXPRESSION
from domain.spelling import suggest
from domain.value import say_duration

LONGEST_THOUGHT: Final = timedelta(seconds=2)
"""An expression takes microseconds; one that takes this long is stopped."""
MOST_FACTS: Final = 256 * 1024
_STARTING: Final = timedelta(seconds=20)
_LONGEST_LINE: Final = 1 << 20
_PROGRAM: Final = str(Path(expression_program.__file__))
_TEXT: Final = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_BOUND: Final = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*(\w+)\s*,")
_FIELD: Final = re.compile(r"(?<![\w.])(\w+)\s*\.\s*(\w+)\b(?!\s*\()")
_TYPES: Final = frozenset(
    {"int", "uint", "double", "string", "bytes", "bool", "list", "map", "null_type", "type"}
)
_FUNCTIONS: Final = frozenset(
    {
        *("size", "contains", "startsWith", "endsWith", "matches", "has"),
        *("string", "int", "uint", "double", "bytes", "type", "dyn", "duration", "timestamp"),
        *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
        *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
    }
)


class Truth(NamedTuple):
    """What an expression came to: None where that could not be told, and then why."""

    value: bool | None
    why: str = ""


def check_expression(text: str) -> str:
    """Return the expression. Raises ``ValueError``, with a sentence, where it can be seen to be wrong."""
    if why := _fault(text):
        raise ValueError(why)
    return text


@functools.lru_cache(maxsize=1000)
def _fault(text: str) -> str:
    if len(text) > LONGEST_EXPRESSION:
        return f"this has {len(text):,} characters; write at most {LONGEST_EXPRESSION:,}"
    try:
        program = library().compile(text)
    except ValueError as wrong:
        return f"this cannot be read as an expression ({_where(str(wrong))}); see docs/how-to/rules.md"
    return next(_strangers(text, program.functions(), program.variables()), "")


def _strangers(text: str, functions: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """Find what an expression speaks of and is not there: functions, names, and what follows a name."""
    for name in functions:
        if name.isidentifier() and name not in _FUNCTIONS:
            yield f"there is no function “{name}” in an expression; {suggest(name, sorted(_FUNCTIONS))}"
    bound = {*_BOUND.findall(text), *_TYPES}
    for name in names:
        if name not in KNOWN and name not in bound and not name.startswith("@"):
            yield f"there is no “{name}” that an expression could ask about; {suggest(name, KNOWN)}"
    for name, field in _FIELD.findall(_TEXT.sub("''", text)):
        known = KNOWN.get(name) if name not in bound else None
        if known and field not in known:
            yield f"{name} has no “{field}”; {suggest(field, sorted(known))}"


def _where(complaint: str) -> str:
    found = re.search(r"<input>:\d+:(\d+): (.*)", complaint)
    return (
        f"at character {found[1]}: {found[2].partition(' expecting ')[0][:120]}"
        if found
        else complaint.splitlines()[0][:120]
    )


class Thinking:
    """Evaluates expressions over the same facts, one after another."""

    def __init__(self, facts: Mapping[str, JsonValue]) -> None:
        self._told = json.dumps({"facts": facts, "times": sorted(TIMES)}).encode()
        self._turn = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None

    async def think(self, expression: str) -> Truth:
        """Say what an expression comes to. Raises nothing for what it does."""
        if len(self._told) > MOST_FACTS:
            return Truth(None, f"there are more than {MOST_FACTS >> 10} KiB to know of this release")
        if len(expression) > LONGEST_EXPRESSION:
            return Truth(None, f"it has more than {LONGEST_EXPRESSION:,} characters")
        async with self._turn:
            try:
                return await self._ask(expression)
            except TimeoutError:
                await self.end()
                return Truth(
                    None, f"it takes longer than {say_duration(LONGEST_THOUGHT)}: write a simpler one"
                )
            except (OSError, ValueError) as broken:
                await self.end()
                return Truth(None, f"it ended the process that it was evaluated in ({broken})")

    async def _ask(self, expression: str) -> Truth:
        process = self._process or await self._start()
        line = json.dumps({"expression": expression}).encode() + b"\n"
        async with asyncio.timeout(LONGEST_THOUGHT.total_seconds()):
            answer = await _exchange(process, line)
        if "value" in answer:
            return Truth(bool(answer["value"]))
        return Truth(None, str(answer["why"]))

    async def _start(self) -> asyncio.subprocess.Process:
        """Start the process, and wait until it can think: that is not the expression's time."""
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            _PROGRAM,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
            limit=_LONGEST_LINE,
            start_new_session=True,
        )
        async with asyncio.timeout(_STARTING.total_seconds()):
            await _exchange(process, self._told + b"\n" + b'{"expression": "true"}\n')
        return process

    async def end(self) -> None:
        """End the process, where there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill()
        if process.stdin:
            process.stdin.close()
        await process.wait()


async def _exchange(process: asyncio.subprocess.Process, line: bytes) -> Mapping[str, object]:
    """Say something and return the answer. Raises ``OSError`` or ``ValueError`` where none comes."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("it has no ears")
    process.stdin.write(line)
    await process.stdin.drain()
    answer: Mapping[str, object] = json.loads(await process.stdout.readline() or "null") or {}
    if not answer:
        raise ValueError("it gave no answer")
    return answer


@asynccontextmanager
async def thinking(facts: Mapping[str, JsonValue]) -> AsyncGenerator[Thinking, None]:
    """Yield what evaluates expressions over these facts; its process ends with the block, and starts when needed."""
    mind = Thinking(facts)
    try:
        yield mind
    finally:
        await mind.end()
