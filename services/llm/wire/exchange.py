"""One HTTP exchange in plain ASGI: headers, a body within a limit, an answer, and whether the caller still waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Mapping
from typing import Any, TypeVar

import orjson
from starlette.types import Receive, Scope, Send

from services.runtime.errors import TooLarge

T = TypeVar("T")
JSON = (b"content-type", b"application/json")
WATCH_SECONDS = 0.02
"""Whether the caller still waits is not looked at earlier: most answers are out by then, and looking costs a task."""
SSE = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))


class CallerGone(Exception):
    """Nobody waits for the answer any more."""


class Exchange:
    """A request and the way to answer it.

    exchange = Exchange(scope, receive, send, body_bytes=1 << 20)
    body = await exchange.body()
    answer = await exchange.while_wanted(work(body))   # cancelled when the caller hangs up
    await exchange.json(200, answer)
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, body_bytes: int) -> None:
        self._receive, self._send = receive, send
        self._body_bytes = body_bytes
        self._told: Mapping[bytes, bytes] = dict(scope["headers"])
        self._headers = list[tuple[bytes, bytes]]()
        self._gone = False
        self.status = 0
        """What was answered; 0 until something was."""

    def tell(self, name: bytes, value: bytes) -> None:
        """Adds a header to the answer."""
        self._headers.append((name, value))

    def header(self, name: bytes) -> str:
        """A header of the request by its lower-case name; empty when missing."""
        return self._told.get(name, b"").decode("latin-1")

    @property
    def key(self) -> str:
        """The key presented as a Bearer token or in X-API-Key."""
        kind, _, token = self.header(b"authorization").partition(" ")
        return self.header(b"x-api-key") or (token.strip() if kind.lower() == "bearer" else "")

    async def body(self) -> bytes:
        """The whole body; TooLarge beyond the limit."""
        parts, length = list[bytes](), 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise CallerGone
            part: bytes = message.get("body", b"")
            length += len(part)
            if length > self._body_bytes:
                raise TooLarge(f"A body may have {self._body_bytes} bytes at most.", field="body")
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)

    async def while_wanted(self, work: Awaitable[T]) -> T:
        """The result of `work`, which is cancelled when the caller hangs up; CallerGone then."""
        working = asyncio.current_task()
        assert working is not None
        watching: asyncio.Task[None] | None = None

        def watch() -> None:
            nonlocal watching
            watching = asyncio.create_task(self._cancelled_when_gone(working))

        soon = asyncio.get_running_loop().call_later(WATCH_SECONDS, watch)
        try:
            return await work
        except asyncio.CancelledError:
            # As asyncio.timeout tells its own cancelling from that of others.
            if self._gone and working.uncancel() == 0:
                raise CallerGone from None
            raise
        finally:
            soon.cancel()
            if watching is not None:
                watching.cancel()

    async def json(self, status: int, answer: Any, headers: Mapping[str, str] | None = None) -> None:
        """Answers with a JSON body."""
        await self.answer(status, orjson.dumps(answer), JSON, headers)

    async def answer(
        self, status: int, body: bytes, kind: tuple[bytes, bytes] = JSON, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answers with a body."""
        more = [kind, (b"content-length", str(len(body)).encode())]
        await self._start(status, more, headers)
        await self._send({"type": "http.response.body", "body": body})

    async def events(self, events: AsyncGenerator[bytes], headers: Mapping[str, str] | None = None) -> None:
        """Answers with server-sent events as they come; the generator is closed at once when the caller hangs up."""
        await self._start(200, list(SSE), headers)
        await self.while_wanted(self._sent(events))

    async def _sent(self, events: AsyncGenerator[bytes]) -> None:
        try:
            async for event in events:
                await self._send({"type": "http.response.body", "body": event, "more_body": True})
            await self._send({"type": "http.response.body", "body": b""})
        finally:
            await events.aclose()

    async def _start(self, status: int, more: list[tuple[bytes, bytes]], headers: Mapping[str, str] | None) -> None:
        self.status = status
        told = [(name.encode(), value.encode("latin-1", "replace")) for name, value in (headers or {}).items()]
        start = {"type": "http.response.start", "status": status, "headers": [*self._headers, *more, *told]}
        await self._send(start)

    async def _cancelled_when_gone(self, working: asyncio.Task[Any]) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        working.cancel()
