"""Carrying notices by Apprise: webhooks, mail, and the chats and pagers that it knows.

An address is looked up right before it is used, and nothing of it is repeated: not in errors, not in logs.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from activities.masking import mask
from activities.mistakes import BrokenConfigurationError
from activities.ports import ChannelError, Settings
from domain.notice import PLAIN_SCHEMAS, Notice, Severity, is_reference
from domain.value import short

PATIENCE: Final = 7.0
"""Seconds that a channel has to take a notice; an alarm's activity, which asks all at once, has ten."""
AT_ONCE: Final = 8
_SHORTEST: Final = 4
_TYPES: Final = {
    Severity.INFO: "info",
    Severity.NOTICE: "info",
    Severity.WARNING: "warning",
    Severity.ALARM: "failure",
}

# What Apprise says of its work names addresses. It is read below, masked; nobody else hears it.
logging.getLogger("apprise").addHandler(logging.NullHandler())
logging.getLogger("apprise").propagate = False
logging.getLogger("urllib3").setLevel(logging.WARNING)  # at DEBUG it names what it asks


class AppriseCourier:
    """Hands notices to the channels of ``towpath.yaml``."""

    def __init__(self, settings: Settings, folder: Path, variables: Mapping[str, str]) -> None:
        self._settings = settings
        self._folder = folder
        self._variables = variables
        # Threads of its own: channels that hang must not take those that other work waits for.
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="courier")

    async def carry(self, channel: str, notice: Notice) -> None:
        address = self._address(channel)
        send = partial(_send, address, notice)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE + 1):
                why = await loop.run_in_executor(self._threads, send)
        except TimeoutError:
            why = f"it has not answered within {PATIENCE:.0f} s"
        if why:
            raise ChannelError(f"Channel {channel} did not take the notice: {mask(why, _parts(address))}")

    def _address(self, channel: str) -> str:
        try:
            written = self._settings.shared().organisation.channels.get(channel)
        except BrokenConfigurationError as error:
            raise ChannelError(f"Channel {channel} cannot be looked up: {error}") from error
        if written is None:
            raise ChannelError(f"There is no channel “{channel}” in towpath.yaml; add it under channels.")
        if not is_reference(written):
            return written
        kind, _, name = written.partition(":")
        address = (self._variable if kind == "env" else self._file)(channel, name.strip()).strip()
        if not address:
            raise ChannelError(
                f"Channel {channel} has no address: {written} is empty. Write the address there."
            )
        return address

    def _variable(self, channel: str, name: str) -> str:
        if name not in self._variables:
            raise ChannelError(
                f"Channel {channel} has no address: the variable {name} is not set where this runs. Set it, and "
                "start this anew."
            )
        return self._variables[name]

    def _file(self, channel: str, name: str) -> str:
        try:
            return (self._folder / name).read_text()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            raise ChannelError(
                f"Channel {channel} has no address: the file {name} cannot be read ({why}). Mend that where this "
                "runs."
            ) from None


def _send(address: str, notice: Notice) -> str:
    """Return nothing where it was taken, else why not; secrets are in that still."""
    import apprise  # noqa: PLC0415  # a third of a second, which commands that tell nobody do not pay

    everybody = apprise.Apprise()
    try:
        if not everybody.add(address):
            return "its address is none that Apprise understands; see docs/how-to/notifications.md"
        result = everybody.notify(
            title=" ".join(
                notice.title.split()
            ),  # people's words are in it, and a mail's subject is one line
            body=f"{notice.text}\n\nNotice {short(notice.key)}, {notice.severity}: {notice.event}",
            notify_type=_TYPES[notice.severity],
            body_format="text",
            timeout=PATIENCE,
        )
    # A hundred services, each with exceptions of its own, whose texts may hold the address.
    except Exception as error:  # noqa: BLE001
        return f"{type(error).__name__}: {error}"
    if result:
        return ""
    said = [entry.message for entry in result.logs() if entry.level in {"WARNING", "ERROR", "CRITICAL"}]
    return " ".join(dict.fromkeys(said)) or "it gave no reason"


def _parts(address: str) -> Iterator[str]:
    """Yield whatever in an address may be a secret: all of it, and each piece, as it is and as it is meant."""
    yield address
    scheme, _, rest = address.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    # A host is worth knowing, and no secret where it is one: other services have their tokens in its place.
    host = authority.rpartition("@")[2] if scheme in PLAIN_SCHEMAS else ""
    keep = {host, host.partition(":")[0]}
    readings: tuple[Callable[[str], str], ...] = (str, unquote)
    for piece in re.split(r"[/?#&=@:;,+]", rest):
        for reading in readings:
            if len(reading(piece)) >= _SHORTEST and reading(piece) not in keep:
                yield reading(piece)
