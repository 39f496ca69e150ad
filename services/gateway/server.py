"""The door on a port: uvicorn in the process's own event loop, with the signals and sentences of every service.

run()                                     # the process: __main__.py
async with serving(settings) as door:     # a test, or a program that embeds the gateway
    httpx.get(f"http://{door.address}/health/live")
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn
import uvloop
from fastapi import FastAPI
from prometheus_client import start_http_server

from services.gateway.app import build
from services.gateway.settings import GatewaySettings
from services.runtime.errors import CascadeError, SettingsError
from services.runtime.logs import configure_logs, get_logger
from services.runtime.settings import read_settings
from services.runtime.tracing import close_tracing, configure_tracing

NAME = "gateway"
BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75
"""Longer than callers leave a connection idle: closing first would meet a request that is under way."""

log = get_logger("server")


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that listens and is ready."""

    address: str
    """host:port"""
    app: FastAPI
    ended: asyncio.Task[None]
    """The server's own task; it ends by itself only when something is broken."""


@asynccontextmanager
async def serving(settings: GatewaySettings) -> AsyncIterator[Running]:
    """Builds the app, listens, and answers; leaving the block drains and closes everything."""
    with _bound(settings) as listener:
        async with build(settings) as app:
            server = _server(app, settings)
            task = asyncio.create_task(server.serve([listener]))
            try:
                await _started(server, task)
                gc.collect()
                gc.freeze()
                host, port = listener.getsockname()[:2]
                yield Running(f"{host}:{port}", app, task)
            finally:
                server.should_exit = True
                await asyncio.gather(task, return_exceptions=True)


def run() -> None:
    """The whole process. Exits with 2 and one sentence when it cannot start."""
    try:
        settings = read_settings(GatewaySettings)
        configure_logs(NAME, settings.log_level, settings.log_format)
        configure_tracing(NAME, settings.otlp_url, settings.trace_share)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_stopped(settings))
    except CascadeError as error:
        log.error("cannot go on", reason=error.sentence)
        print(f"{NAME}: {error.sentence}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        close_tracing()


async def _until_stopped(settings: GatewaySettings) -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    main = asyncio.current_task()
    assert main is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        # Until the gateway runs there is nothing to drain: a signal then cancels the start.
        loop.add_signal_handler(number, main.cancel)
    try:
        async with serving(settings) as running:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stopped.set)
            if settings.metrics_port:
                start_http_server(settings.metrics_port, settings.host)
            log.info("ready", address=running.address, **({"open": settings.public_url} if settings.public_url else {}))
            waiting = asyncio.create_task(stopped.wait())
            await asyncio.wait({waiting, running.ended}, return_when=asyncio.FIRST_COMPLETED)
            log.info("draining", seconds=settings.drain_seconds)
    except asyncio.CancelledError:
        log.info("stopped before it was ready")


class _Server(uvicorn.Server):
    """Leaves the signals to the process, which drains."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _server(app: FastAPI, settings: GatewaySettings) -> uvicorn.Server:
    return _Server(
        uvicorn.Config(
            app,
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=max(1, round(settings.drain_seconds)),
        )
    )


def _bound(settings: GatewaySettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Port {settings.port} on {settings.host} cannot be used ({error.strerror}). "
            "Stop what holds it, or set CASCADE_GATEWAY_PORT.",
            field="port",
        ) from error
    return listener


async def _started(server: uvicorn.Server, task: asyncio.Task[None]) -> None:
    while not server.started:
        if task.done():
            task.result()
            raise SettingsError("The HTTP server ended before it listened.")
        await asyncio.sleep(0.005)
