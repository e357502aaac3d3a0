"""What a process shows of itself: logs, and one port with ``/metrics``, ``/healthz`` and ``/readyz``."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, NamedTuple

import httpx
import uvicorn
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from workers.logs import begin_logs
from workers.metering import DEED
from workers.readiness import Question, failing
from workers.server import free_port
from workers.settings import METRICS, Surroundings

EXPOSITION: Final = "text/plain; version=0.0.4; charset=utf-8"

DEED_SECONDS: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1800)
"""From a renamed link to half an hour of somebody's program."""

CLOSING: Final = 2


class TelemetryError(Exception):
    """The port cannot be had. The text is a sentence."""


class Telemetry(NamedTuple):
    """What a process measures. Each has one, made before any client: a client keeps its runtime."""

    runtime: Runtime
    sdk: str
    """Where the SDK shows its metrics and ours, on this machine alone; empty where nobody asks for them."""
    wanted: str
    """The ``host:port`` to show everything on."""

    @asynccontextmanager
    async def shown(self, ready: Mapping[str, Question]) -> AsyncIterator[str]:
        """Serve the port while the block runs, and yield its URL. Does nothing where none is wanted.

        Raises ``TelemetryError`` where the port cannot be had.
        """
        if not self.wanted:
            yield ""
            return
        with contextlib.closing(_listen(self.wanted)) as door:
            host, port, *_ = door.getsockname()
            server = _Server(_settings(_application(self.sdk, ready)))
            serving = asyncio.create_task(server.serve(sockets=[door]))
            try:
                yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
            finally:
                server.should_exit = True
                await serving


def begin(place: Surroundings, *, default: bool = True) -> Telemetry:
    """Begin to log, and to measure if a port is wanted: the first thing that a process does, once."""
    begin_logs(as_json=place.json_logs)
    sdk = f"127.0.0.1:{free_port()}" if place.metrics else ""
    metrics = PrometheusConfig(
        bind_address=sdk,
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides={DEED: DEED_SECONDS},
    )
    core = LogForwardingConfig(
        logger=logging.getLogger("temporalio.core"),
        append_target_to_name=False,
        prepend_target_on_message=False,
        append_log_fields_to_message=False,
    )
    runtime = Runtime(
        telemetry=TelemetryConfig(
            metrics=metrics if sdk else None,
            logging=LoggingConfig(
                filter=TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=core
            ),
            attach_service_name=False,
        )
    )
    if default:
        Runtime.set_default(runtime)
    return Telemetry(runtime, sdk, place.metrics)


def _application(sdk: str, ready: Mapping[str, Question]) -> Starlette:
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    address = f"http://{sdk}/metrics"

    async def metrics(_: Request) -> PlainTextResponse:
        async with httpx.AsyncClient(trust_env=False, timeout=5) as inside:
            body = (await inside.get(address)).raise_for_status().content
        return PlainTextResponse(generate_latest(registry) + body, media_type=EXPOSITION)

    async def healthz(_: Request) -> PlainTextResponse:
        return PlainTextResponse("alive\n")

    async def readyz(_: Request) -> PlainTextResponse:
        wrong = await failing(ready)
        lines = [f"{name}: {wrong.get(name, 'good')}\n" for name in ready]
        return PlainTextResponse("".join(lines), status_code=503 if wrong else 200)

    return Starlette(
        routes=[Route("/metrics", metrics), Route("/healthz", healthz), Route("/readyz", readyz)]
    )


def _settings(application: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=CLOSING,
    )


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's: what it does on a TERM is not for its metrics to say."""
        yield


def _listen(wanted: str) -> socket.socket:
    host, _, port = wanted.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal():
        raise TelemetryError(f"{METRICS} is “{wanted}”: write host:port, such as 127.0.0.1:9464.")
    try:
        return socket.create_server(
            (host, int(port)), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
    except (OSError, OverflowError) as error:
        raise TelemetryError(
            f"Metrics cannot be shown on {wanted}, as {METRICS} asks: {error}. "
            "Free the port, or name another."
        ) from error
