"""Searching a text for somebody's pattern without the worker waiting for it."""

import asyncio
import json
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

_PROGRAM: Final = str(Path(__file__).with_name("matching_program.py"))
LONGEST_SEARCH: Final = timedelta(seconds=2)


class EndlessSearchError(Exception):
    """A pattern was not searched to its end. The text is half a sentence."""


async def is_found(pattern: str, text: str) -> bool:
    """Search a text in a process of its own. Raises ``EndlessSearchError`` where that does not come to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", _PROGRAM,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env={},
    )  # fmt: skip
    try:
        async with asyncio.timeout(LONGEST_SEARCH.total_seconds()):
            answer, _ = await process.communicate(json.dumps({"pattern": pattern, "text": text}).encode())
        return bool(json.loads(answer))
    except (TimeoutError, ValueError, OSError) as endless:
        raise EndlessSearchError(
            f"could not be searched for “{pattern}”; write a simpler pattern"
        ) from endless
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
