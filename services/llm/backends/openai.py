"""openai://host[:port]/v1 and openais://host/v1: any server that speaks OpenAI's API (vLLM, llama.cpp's, a cloud)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from types import TracebackType

import aiohttp
import numpy as np
import numpy.typing as npt
import orjson
from yarl import URL

from services.llm.backends.refusals import error_of, refusal
from services.llm.backends.sse import Events
from services.llm.backends.wire import (
    CHAT,
    COMPLETIONS,
    EMBEDDINGS,
    MODELS,
    Delivery,
    body_of,
    completion_of,
    embeddings_body,
    embeddings_of,
    path_of,
)
from services.llm.calls import Completion, Generation, Piece
from services.runtime.errors import CascadeError, DeadlineExceeded, Unavailable

CONNECT_SECONDS = 2.0
"""A host that does not take a connection in this time is away."""
READY_SECONDS = 1.0
TAIL_SECONDS = 0.1
"""How long the end of a finished stream is waited for, so that its connection can be used again."""
MAX_ANSWER_BYTES = 32 * 1024 * 1024
"""Of an answer that is not streamed: thousands of vectors fit."""
MAX_PROBLEM_BYTES = 64 * 1024
DONE = b"[DONE]"

MALFORMED = (KeyError, IndexError, TypeError, AttributeError, ValueError)
"""What reading an answer of another shape raises."""


class OpenAIBackend:
    """One upstream: a session with at most `max_connections` connections, and its key in a header of each call."""

    def __init__(self, base: URL, *, key: str = "", max_connections: int = 256) -> None:
        """`base` is the http(s) URL that ends in /v1. To be made inside a running event loop."""
        self._peer = base.authority
        self._translated, self._well_formed = _Translated(self._peer), _WellFormed(self._peer)
        self._urls = {path: base / path[1:] for path in (CHAT, COMPLETIONS, EMBEDDINGS, MODELS)}
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=max_connections, keepalive_timeout=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Every call brings its deadline; connecting is short in any case.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            headers=headers | ({"Authorization": f"Bearer {key}"} if key else {}),
            auto_decompress=False,
        )

    async def complete(self, request: Generation, timeout: float) -> Completion:
        """The whole answer within `timeout` seconds."""
        body = await self._ask(path_of(request), body_of(request, stream=False), timeout)
        with self._well_formed:
            return completion_of(body, request)

    async def stream(self, request: Generation, timeout: float) -> AsyncGenerator[Piece, None]:
        """The answer as it comes; what arrives together is one piece. Closing it ends the connection at once."""
        clock = asyncio.get_running_loop().time
        silent_until = clock() + timeout
        response = await self._begin(request, timeout)
        delivery, events, whole = Delivery(request), Events(), False
        try:
            while not whole:
                chunk = await self._chunk(response.content, silent_until)
                whole = self._take(delivery, events.feed(chunk)) or self._ended(delivery, chunk)
                if delivery.holds_text and not whole:
                    yield delivery.piece()
                    silent_until = clock() + timeout
            yield delivery.last()
            await _drain(response.content)
        finally:
            response.close()

    async def embed(self, model: str, texts: Sequence[str], timeout: float) -> tuple[npt.NDArray[np.float32], int]:
        """Vectors of length one, float32 [texts, dimensions], and the tokens read."""
        body = await self._ask(EMBEDDINGS, embeddings_body(model, texts), timeout)
        with self._well_formed:
            return embeddings_of(body, len(texts))

    async def ready(self) -> bool:
        """True when the upstream lists its models."""
        if self._session.closed:
            return False
        try:
            async with asyncio.timeout(READY_SECONDS), self._session.get(self._urls[MODELS]) as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError):
            return False

    async def close(self) -> None:
        """Ends every connection, and with it what is going on."""
        await self._session.close()

    async def _ask(self, path: str, body: bytes, timeout: float) -> bytes:
        with self._translated:
            async with asyncio.timeout(timeout):
                response = await self._post(path, body)
                try:
                    answer = await _read(response.content, MAX_ANSWER_BYTES)
                finally:
                    # The connection of an answer that was read to its end is back in the pool by now.
                    response.close()
        if len(answer) > MAX_ANSWER_BYTES:
            raise Unavailable(f"{self._peer} answers with more than {MAX_ANSWER_BYTES} bytes.")
        return answer

    async def _begin(self, request: Generation, timeout: float) -> aiohttp.ClientResponse:
        body = body_of(request, stream=True)
        with self._translated:
            async with asyncio.timeout(timeout):
                return await self._post(path_of(request), body)

    async def _post(self, path: str, body: bytes) -> aiohttp.ClientResponse:
        if self._session.closed:
            raise Unavailable(f"{self._peer} is not asked any more: this backend is closed.")
        response = await self._session.post(self._urls[path], data=body, allow_redirects=False)
        if response.status == 200:
            return response
        try:
            problem = await _read(response.content, MAX_PROBLEM_BYTES)
        finally:
            response.close()
        raise refusal(self._peer, response.status, response.headers, problem)

    async def _chunk(self, content: aiohttp.StreamReader, until: float) -> bytes:
        with self._translated:
            async with asyncio.timeout_at(until):
                return await content.readany()

    def _take(self, delivery: Delivery, payloads: Sequence[bytes]) -> bool:
        """True when the end is among them."""
        with self._well_formed:
            for payload in payloads:
                if payload == DONE:
                    return True
                event = orjson.loads(payload)
                if "error" in event or event.get("object") == "error":
                    raise self._error_within(event)
                delivery.take(event)
        return False

    def _ended(self, delivery: Delivery, chunk: bytes) -> bool:
        if not chunk and not delivery.finished:
            raise Unavailable(f"{self._peer} ended the stream before the answer was whole.")
        return not chunk

    def _error_within(self, event: dict[str, object]) -> CascadeError:
        error = event.get("error", event)
        code = error.get("code") if isinstance(error, dict) else None
        return error_of(self._peer, code if isinstance(code, int) else 500, event)


class _Translated:
    """What a peer's connection raises, in our tree. Entered by every call: generators would cost twice as much."""

    __slots__ = ("_peer",)

    def __init__(self, peer: str) -> None:
        self._peer = peer

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, aiohttp.ClientError):
            raise Unavailable(f"{self._peer} does not answer ({type(error).__name__}).") from error
        if isinstance(error, TimeoutError):
            raise DeadlineExceeded(f"{self._peer} did not answer in time.") from error


class _WellFormed:
    """What reading a peer's answer raises, in our tree."""

    __slots__ = ("_peer",)

    def __init__(self, peer: str) -> None:
        self._peer = peer

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if isinstance(error, MALFORMED):
            raise Unavailable(f"{self._peer} answers with something that is not OpenAI's API.") from error


async def _read(content: aiohttp.StreamReader, most: int) -> bytes:
    """All of it, or a little more than `most` bytes of it."""
    chunks, size = [], 0
    while size <= most and (chunk := await content.readany()):
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)


async def _drain(content: aiohttp.StreamReader) -> None:
    """Waits a moment for the end of the body, so that the connection serves the next call."""
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(TAIL_SECONDS):
            while await content.readany():
                pass
