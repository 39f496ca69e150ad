"""An ASGI app on a port: uvicorn in the process's own event loop, without handlers of signals.

with bound("127.0.0.1", 8000, "CASCADE_GATEWAY_PORT") as listener:
    async with answering(app, listener, drain_seconds=5) as door:
        httpx.get(f"http://{door.address}/health/live")
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from services.runtime.errors import SettingsError

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75
"""Longer than callers leave a connection idle: closing first would meet a request that is under way."""


@dataclass(frozen=True, slots=True)
class Listening:
    """An app that answers."""

    address: str
    """host:port"""
    ended: asyncio.Task[None]
    """The server's own task; it ends by itself only when something is broken."""


@contextmanager
def bound(host: str, port: int, variable: str) -> Iterator[socket.socket]:
    """A socket on the port; SettingsError names the variable that sets another one when it cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise SettingsError(
                f"Port {port} on {host} cannot be used ({error.strerror}). Stop what holds it, or set {variable}.",
                field="port",
            ) from error
        yield listener


@asynccontextmanager
async def answering(app: ASGIApp, listener: socket.socket, drain_seconds: float) -> AsyncIterator[Listening]:
    """Answers on the socket until the block ends, which lets running requests finish for `drain_seconds`."""
    server = _Server(_config(app, drain_seconds))
    task = asyncio.create_task(server.serve([listener]))
    try:
        await _started(server, task)
        host, port = listener.getsockname()[:2]
        yield Listening(f"{host}:{port}", task)
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)


class _Server(uvicorn.Server):
    """Leaves the signals to the process, which drains."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: ASGIApp, drain_seconds: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, round(drain_seconds)),
    )


async def _started(server: uvicorn.Server, task: asyncio.Task[None]) -> None:
    while not server.started:
        if task.done():
            task.result()
            raise SettingsError("The HTTP server ended before it listened.")
        await asyncio.sleep(0.005)
