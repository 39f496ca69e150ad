"""The gateway on a port, with the signals and sentences of every service.

run()                                     # the process: __main__.py
async with serving(settings) as door:     # a test, or a program that embeds the gateway
    httpx.get(f"http://{door.address}/health/live")
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvloop
from fastapi import FastAPI
from prometheus_client import start_http_server

from services.gateway.app import build
from services.gateway.settings import GatewaySettings
from services.runtime.asgi import answering, bound
from services.runtime.errors import CascadeError
from services.runtime.logs import configure_logs, get_logger
from services.runtime.settings import read_settings
from services.runtime.tracing import close_tracing, configure_tracing

NAME = "gateway"
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
    with bound(settings.host, settings.port, "CASCADE_GATEWAY_PORT") as listener:
        async with build(settings) as app, answering(app, listener, settings.drain_seconds) as door:
            gc.collect()
            gc.freeze()
            yield Running(door.address, app, door.ended)


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
