"""The one door of every gRPC service: build, warm, listen, say so, and drain on the way out.

SERVICE = Service("ranker", RankerSettings, build)

run(SERVICE)                                     # the process: __main__.py
async with serving(SERVICE, settings) as door:   # a test, or a program that embeds the service
    channel = open_channel(f"grpc://{door.address}")
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from prometheus_client import start_http_server

from services.runtime.client import CHANNEL_OPTIONS
from services.runtime.errors import CascadeError, SettingsError
from services.runtime.interceptors import AroundCalls
from services.runtime.logs import configure_logs, get_logger
from services.runtime.settings import ServiceSettings, read_settings
from services.runtime.tracing import close_tracing, configure_tracing

S = TypeVar("S", bound=ServiceSettings)
log = get_logger("server")


@dataclass(frozen=True, slots=True)
class Door:
    """What `build` hands to the server once it is warm."""

    add: Callable[[grpc.aio.Server], None]
    """Adds the servicers."""
    services: tuple[str, ...]
    """Full names for health and reflection, for example ("cascade.Ranker",)."""
    failed: asyncio.Future[None] | None = None
    """Resolves with an exception when background work has died and the process must not go on."""
    draining: Callable[[], None] | None = None
    """Called before the server drains: ends streams that would otherwise run for ever."""


@dataclass(frozen=True, slots=True)
class Service(Generic[S]):
    """A service by name: its settings class and how to build it."""

    name: str
    settings: type[S]
    build: Callable[[S], AbstractAsyncContextManager[Door]]
    loop: Callable[[], asyncio.AbstractEventLoop] | None = None
    """Makes the process's event loop; None takes asyncio's own."""


@dataclass(frozen=True, slots=True)
class Running:
    """A service that listens and is ready."""

    address: str
    """host:port"""
    door: Door


@asynccontextmanager
async def serving(service: Service[S], settings: S) -> AsyncIterator[Running]:
    """Builds the service, listens, and reports SERVING; leaving the block drains and closes everything."""
    async with service.build(settings) as door:
        server = grpc.aio.server(interceptors=[AroundCalls(service.name)], options=CHANNEL_OPTIONS)
        door.add(server)
        healthy = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
        reflection.enable_server_reflection((*door.services, reflection.SERVICE_NAME, health.SERVICE_NAME), server)
        port = _listen(server, settings)
        try:
            await server.start()
            for name in ("", *door.services):
                await healthy.set(name, health_pb2.HealthCheckResponse.SERVING)
            # What start-up made stays: the collector need not walk it during requests.
            gc.collect()
            gc.freeze()
            yield Running(f"{settings.host}:{port}", door)
        finally:
            await healthy.enter_graceful_shutdown()
            if door.draining is not None:
                door.draining()
            await server.stop(settings.drain_seconds)
            gc.unfreeze()


def _listen(server: grpc.aio.Server, settings: ServiceSettings) -> int:
    try:
        return server.add_insecure_port(f"{settings.host}:{settings.port}")
    except RuntimeError as error:
        prefix = str(settings.model_config.get("env_prefix", ""))
        raise SettingsError(
            f"Port {settings.port} on {settings.host} is in use or not allowed. "
            f"Stop what holds it, or set {prefix}PORT.",
            field="port",
        ) from error


def run(service: Service[S]) -> None:
    """The whole process of a service. Exits with 2 and one sentence when it cannot start."""
    try:
        settings = read_settings(service.settings)
        configure_logs(service.name, settings.log_level, settings.log_format)
        configure_tracing(service.name, settings.otlp_url, settings.trace_share)
        with asyncio.Runner(loop_factory=service.loop) as runner:
            runner.run(_until_stopped(service, settings))
    except CascadeError as error:
        log.error("cannot go on", reason=error.sentence)
        print(f"{service.name}: {error.sentence}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        close_tracing()


async def _until_stopped(service: Service[S], settings: S) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    main = asyncio.current_task()
    assert main is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        # Until the service runs there is nothing to drain: a signal then cancels the start.
        loop.add_signal_handler(number, main.cancel)
    try:
        async with serving(service, settings) as running:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stopped.set)
            if settings.metrics_port:
                start_http_server(settings.metrics_port, settings.host)
            log.info("ready", address=running.address)
            await _stop_or_failure(stopped, running.door)
            log.info("draining", seconds=settings.drain_seconds)
    except asyncio.CancelledError:
        log.info("stopped before it was ready")


async def _stop_or_failure(stopped: asyncio.Event, door: Door) -> None:
    waits: list[asyncio.Future[object]] = [asyncio.ensure_future(stopped.wait())]
    if door.failed is not None:
        waits.append(asyncio.ensure_future(door.failed))
    done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for future in done:
        future.result()
