"""A client that does nothing of its own: one connection, bytes made beforehand, an answer read to its end.

What it sees of a call is the server and the loopback, not an HTTP library.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from loadtests.llm.rounds import Plan
from services.runtime.errors import Unavailable

_CHUNK_BYTES = 65_536


class PlainCaller:
    """One connection that stays open."""

    def __init__(self, connection: socket.socket, plan: Plan) -> None:
        body = plan.body(0)
        self._connection = connection
        self._request = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {urlsplit(plan.url).netloc}\r\n"
            f"Authorization: Bearer {plan.key}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def call(self) -> tuple[float, bytes]:
        """(milliseconds to the last byte, the answer's head); Unavailable when it is not a whole 200."""
        started = time.perf_counter()
        self._connection.sendall(self._request)
        answer = self._read()
        while b"\r\n\r\n" not in answer:
            answer += self._read()
        head, _, body = answer.partition(b"\r\n\r\n")
        length = _length(head)
        while len(body) < length:
            body += self._read()
        milliseconds = (time.perf_counter() - started) * 1000
        if not head.startswith(b"HTTP/1.1 200"):
            raise Unavailable(f"The peer answers {head[:40]!r}.")
        return milliseconds, head

    def _read(self) -> bytes:
        received = self._connection.recv(_CHUNK_BYTES)
        if not received:
            raise Unavailable("The peer ended the connection within an answer.")
        return received


@contextmanager
def plain_caller(plan: Plan) -> Iterator[PlainCaller]:
    """Asks the first call of the plan again and again."""
    peer = urlsplit(plan.url)
    with socket.create_connection((peer.hostname or "", peer.port or 80), timeout=plan.timeout) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield PlainCaller(connection, plan)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":")[1])
    raise Unavailable("The peer does not tell how long its answer is.")
