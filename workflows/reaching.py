"""Reaching a Temporal server: what all connections of ours have in common."""

from typing import Any, Final

from temporalio.client import Client
from temporalio.service import GrpcCompression

from workflows.wire import DATA_CONVERTER

THIS_MACHINE: Final = frozenset({"127.0.0.1", "localhost", "[::1]"})


async def reach(target_host: str, **more: Any) -> Client:
    """Connect to a server, and write values as we do. ``more``, and what is raised, are ``Client.connect``'s."""
    return await Client.connect(
        target_host, data_converter=DATA_CONVERTER, grpc_compression=compression_to(target_host), **more
    )


def compression_to(address: str) -> GrpcCompression:
    """Return how messages are compressed: as the SDK does it, but not to a server on this machine.

    There it spares no network, and takes an eighth of all the time that a promotion needs.
    """
    host, _, _ = address.rpartition(":")
    return GrpcCompression.NONE if host in THIS_MACHINE else GrpcCompression.GZIP
