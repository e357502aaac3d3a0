"""Requests to a Temporal server as no client of ours would send them: bytes, whatever they mean."""

from typing import Final

import httpx
from google.protobuf.message import Message

_GROUP: Final = 100
"""The number of a field that no message of Temporal's has."""


async def send(address: str, method: str, message: bytes) -> None:
    """Call a method of the server's workflow service, which is to take it."""
    url = f"http://{address}/temporal.api.workflowservice.v1.WorkflowService/{method}"
    headers = {"content-type": "application/grpc", "te": "trailers"}
    body = b"\0" + len(message).to_bytes(4, "big") + message
    async with httpx.AsyncClient(http1=False, http2=True) as http:
        answer = await http.post(url, content=body, headers=headers, timeout=10)
    assert (answer.status_code, bool(answer.content)) == (httpx.codes.OK, True), answer.headers


def field(message: type[Message] | Message, name: str, value: bytes) -> bytes:
    """Write a field that holds a message, text or bytes."""
    return _key(message.DESCRIPTOR.fields_by_name[name].number, 2) + _number(len(value)) + value


def groups(depth: int) -> bytes:
    """Write a field that nobody knows: a group in a group in a group."""
    return _key(_GROUP, 3) * depth + _key(_GROUP, 4) * depth


def _key(number: int, kind: int) -> bytes:
    return _number(number << 3 | kind)


def _number(value: int) -> bytes:
    written = b""
    while value > 0x7F:
        written += bytes([value & 0x7F | 0x80])
        value >>= 7
    return written + bytes([value])
