"""Whether a process is ready for work: it says so itself, an open port is not enough."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.local.layout import Program, place
from services.runtime.client import open_channel

ASK_SECONDS = 2.0
BETWEEN_SECONDS = 0.1


async def wait_ready(program: Program) -> None:
    """Returns when the program says it is ready; bound it with asyncio.timeout."""
    while True:
        if await is_ready(program):
            return
        await asyncio.sleep(BETWEEN_SECONDS)


async def is_ready(program: Program) -> bool:
    """One question, answered within ASK_SECONDS."""
    with suppress(TimeoutError):
        async with asyncio.timeout(ASK_SECONDS):
            if program.url.startswith("grpc:"):
                return await _grpc_serving(program)
            return await _socket_answers(program)
    return False


async def _grpc_serving(program: Program) -> bool:
    async with open_channel(program.url) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest())
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


_QUESTIONS = {
    "redis": (b"PING\r\n", b"+PONG"),
    "http": (b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200"),
    "kafka": (b"", b""),
}
"""By scheme: what to send, and how the answer of a ready program begins. Kafka's listener opens when it is ready."""


async def _socket_answers(program: Program) -> bool:
    question, answer = _QUESTIONS[program.url.split(":", 1)[0]]
    try:
        reader, writer = await asyncio.open_connection(*place(program))
    except OSError:
        return False
    try:
        writer.write(question)
        return await reader.readexactly(len(answer)) == answer
    except (OSError, asyncio.IncompleteReadError):
        return False
    finally:
        writer.close()
