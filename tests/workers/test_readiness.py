"""Whether a worker could do its work, asked over HTTP."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from temporalio.client import Client
from temporalio.runtime import Runtime

from tests.workers.site import SUBJECT, lay_out
from workers.server import free_port
from workers.settings import Surroundings
from workers.staffing import readiness
from workers.telemetry import Telemetry, TelemetryError


class Shown(NamedTuple):
    place: Surroundings
    browser: httpx.AsyncClient

    async def says(self) -> tuple[int, str]:
        answer = await self.browser.get("/readyz")
        return answer.status_code, answer.text


@asynccontextmanager
async def asked(client: Client, place: Surroundings) -> AsyncIterator[Shown]:
    """Ask whether a worker in this place would be ready, without starting one."""
    telemetry = Telemetry(Runtime.default(), "", "127.0.0.1:0")
    async with (
        telemetry.shown(readiness([client], place, [SUBJECT.environment])) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as browser,
    ):
        yield Shown(place, browser)


@pytest.fixture
async def shown(client: Client, tmp_path: Path) -> AsyncIterator[Shown]:
    async with asked(client, lay_out(tmp_path)) as built:
        yield built


async def test_a_broken_configuration_is_not_ready(shown: Shown) -> None:
    """The answer names the file."""
    (shown.place.folder / "services" / "shop.yaml").write_text("service: [")

    status, said = await shown.says()

    assert status == 503
    assert "services/shop.yaml" in said
    assert "server: good" in said


async def test_a_key_that_others_may_read_is_not_ready(shown: Shown) -> None:
    """The answer is the sentence that a deed would be refused with."""
    (shown.place.keys / "dev.pem").chmod(0o644)

    status, said = await shown.says()

    assert status == 503
    assert "keys: This worker will not seal for dev" in said


async def test_a_store_that_cannot_be_written_is_not_ready(shown: Shown) -> None:
    """It is tried, not looked at."""
    (shown.place.folder / "store").write_text("not a folder")

    status, said = await shown.says()

    assert status == 503
    assert "store: The release store" in said


async def test_asking_leaves_one_probe_in_the_store(shown: Shown) -> None:
    """However often it is asked, nothing piles up."""
    await shown.says()
    await shown.says()

    left = [file.name for file in (shown.place.folder / "store").rglob("*") if file.is_file()]
    assert left == ["probe"]


async def test_a_server_that_is_gone_is_not_ready(tmp_path: Path) -> None:
    """The process is alive, but cannot work."""
    nobody = await Client.connect(f"127.0.0.1:{free_port()}", lazy=True)
    async with asked(nobody, lay_out(tmp_path)) as shown:
        status, said = await shown.says()
        alive = await shown.browser.get("/healthz")

    assert status == 503
    assert "server: good" not in said
    assert alive.status_code == 200


async def test_a_port_that_is_taken_is_said() -> None:
    """The sentence names the port, and where it was asked for."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = f"127.0.0.1:{taken.getsockname()[1]}"
        telemetry = Telemetry(Runtime.default(), "", wanted)

        with pytest.raises(TelemetryError, match=f"{wanted}, as TOWPATH_METRICS asks"):
            async with telemetry.shown({}):
                pass


@pytest.mark.parametrize("wanted", ["9464", "localhost:", ":9464", "localhost:web"])
async def test_a_port_that_is_none_is_said(wanted: str) -> None:
    """The sentence shows how to write it."""
    with pytest.raises(TelemetryError, match="write host:port"):
        async with Telemetry(Runtime.default(), "", wanted).shown({}):
            pass


async def test_nothing_is_shown_where_nothing_is_asked_for() -> None:
    """Without a port there is none."""
    async with Telemetry(Runtime.default(), "", "").shown({}) as url:
        assert url == ""
