"""What connections have in common."""

from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.service import GrpcCompression

from clients.client import Towpath
from workflows.reaching import compression_to, reach


@pytest.mark.parametrize("address", ["127.0.0.1:7233", "localhost:7233", "[::1]:7233"])
def test_nothing_is_compressed_for_a_server_on_this_machine(address: str) -> None:
    assert compression_to(address) is GrpcCompression.NONE


@pytest.mark.parametrize(
    "address",
    ["temporal.example:7233", "10.0.0.1:7233", "127.0.0.1.example:7233", "localhost", "ns.tmprl.cloud:7233"],
)
def test_elsewhere_it_is_as_the_sdk_does_it(address: str) -> None:
    assert compression_to(address) is GrpcCompression.GZIP


async def test_connections_keep_to_it() -> None:
    near, far = await reach("127.0.0.1:1", lazy=True), await reach("temporal.example:1", lazy=True)
    assert near.service_client.config.grpc_compression is GrpcCompression.NONE
    assert far.service_client.config.grpc_compression is GrpcCompression.GZIP


@pytest.mark.server
async def test_so_does_whoever_connects_as_the_surroundings_say(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", client.service_client.config.target_host)
    ours = (await Towpath.connect(tmp_path)).client
    assert ours.service_client.config.grpc_compression is GrpcCompression.NONE
