"""Where notices arrive in tests: a real HTTP server and a real mail server."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from email import message_from_bytes, policy
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from workers.server import free_port


class Hook:
    """A webhook that remembers what it was sent, and answers as it is told to."""

    def __init__(self) -> None:
        self.port = free_port()
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.asked = 0
        self.status = 200
        self.hangs = False
        self._changed = asyncio.Condition()

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.port}/hook"

    @property
    def titles(self) -> list[str]:
        return [body["title"] for body in self.bodies]

    async def until_asked(self, times: int) -> None:
        await self._until(lambda: self.asked >= times)

    async def until_told(self, *titles: str) -> None:
        """Wait until a notice has come for each of these beginnings."""
        await self._until(lambda: all(any(title.startswith(one) for title in self.titles) for one in titles))

    async def _until(self, ready: Any) -> None:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(ready)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Hook"]:
        """Listen while the block runs."""
        server = await asyncio.start_server(self._answer, "127.0.0.1", self.port)
        try:
            yield self
        finally:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        size = next(int(line.split(":")[1]) for line in head.splitlines() if "content-length" in line.lower())
        body = await reader.readexactly(size)
        async with self._changed:
            self.asked += 1
            if not self.hangs and self.status == 200:
                self.bodies.append(json.loads(body))
                self.paths.append(head.split()[1])
            self._changed.notify_all()
        if self.hangs:
            await reader.read()  # until the other side has had enough
        else:
            writer.write(
                f"HTTP/1.1 {self.status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()
            )
            await writer.drain()
        writer.close()


class MailBox:
    """What a mail server was given."""

    def __init__(self) -> None:
        self.port = free_port()
        self.mails: list[tuple[str, str, list[str]]] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  # the library's name
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        part = mail.get_body(("plain", "html"))
        self.mails.append((mail["subject"], part.get_content() if part else "", envelope.rcpt_tos))
        return "250 OK"

    @contextmanager
    def open(self) -> Iterator["MailBox"]:
        controller = Controller(self, hostname="127.0.0.1", port=self.port)
        controller.start()
        try:
            yield self
        finally:
            controller.stop()


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        port: int = tried.getsockname()[1]
        return port
