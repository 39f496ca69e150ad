"""Whether a program is ready for work: it says so itself, an open port is not enough.

python -m services.runtime.probe grpc://127.0.0.1:50053     # exit status 0 or 1: the health check of a container
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

ASK_SECONDS = 2.0

_QUESTIONS = {
    "redis": (b"PING\r\n", b"+PONG"),
    "http": (b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"HTTP/1.1 200"),
    "kafka": (b"", b""),
}
"""By scheme: what to send, and how the answer of a ready program begins. Kafka's listener opens when it is ready."""


async def is_ready(url: str) -> bool:
    """One question, answered within ASK_SECONDS: grpc://host:port by its health service, http://, redis://, kafka://."""
    parts = urlsplit(url)
    with suppress(TimeoutError):
        async with asyncio.timeout(ASK_SECONDS):
            if parts.scheme == "grpc":
                return await _grpc_serving(parts.netloc)
            return await _socket_answers(parts.scheme, parts.hostname or "", parts.port or 0)
    return False


async def _grpc_serving(address: str) -> bool:
    # Imported here, and no more than this: a container's health check runs every few seconds.
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest())
        except grpc.RpcError:
            return False
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def _socket_answers(scheme: str, host: str, port: int) -> bool:
    question, answer = _QUESTIONS[scheme]
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    try:
        writer.write(question)
        return await reader.readexactly(len(answer)) == answer
    except (OSError, asyncio.IncompleteReadError):
        return False
    finally:
        writer.close()


def main() -> None:
    """Exits with 0 when the program at the URL is ready, with 1 when it is not, with 2 without a URL."""
    if len(sys.argv) != 2 or urlsplit(sys.argv[1]).scheme not in ("grpc", *_QUESTIONS):
        print("usage: python -m services.runtime.probe grpc://host:port | http://… | redis://… | kafka://…")
        sys.exit(2)
    sys.exit(0 if asyncio.run(is_ready(sys.argv[1])) else 1)


if __name__ == "__main__":
    main()
