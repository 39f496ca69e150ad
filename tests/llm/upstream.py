"""A small, fast server that speaks OpenAI's API as vLLM does, and misbehaves when it is told to.

async with Upstream("red") as upstream:
    upstream.url                      # openai://127.0.0.1:port/v1
    upstream.behaviour = Behaviour(status=503)
    upstream.kill()                   # hard: every connection is reset, nothing listens any more

Each word of an answer names the upstream that gave it. `python -m tests.llm.upstream --port 9000` runs one alone.
"""

from __future__ import annotations

import argparse
import asyncio
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import orjson
from aiohttp import web

SSE_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
DIMENSIONS = 8
"""Of the vectors, which do not have length one."""

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How the next calls are answered."""

    words: int = 6
    """Words of an answer, unless the caller wants fewer."""
    status: int = 200
    """Other than 200: every call is refused with it."""
    retry_after: str | None = None
    """Header of a refusal."""
    fail_first: int = 0
    """So many calls are refused with 503 before one is answered."""
    hang: bool = False
    """Never answers."""
    hang_after: int | None = None
    """Streams stop after so many words and stay open."""
    die_after: int | None = None
    """The connection is reset after so many words; 0: before any."""
    error_after: int | None = None
    """An error comes within the stream after so many words."""
    seconds_a_word: float = 0.0
    seconds_to_the_end: float = 0.0
    """Between the last event of a stream and the end of its body."""
    tells_usage: bool = True
    raw: tuple[bytes, ...] | None = None
    """Sent instead of a stream's events, or as a whole answer's body."""


@dataclass(slots=True)
class Counts:
    """What the upstream has seen."""

    calls: int = 0
    disconnects: int = 0
    """Callers that left before their answer was whole."""
    open: int = 0
    most_open: int = 0
    caller: object = None
    """Address of the last call's connection."""
    bodies: list[Body] = field(default_factory=list)
    """The last hundred."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the last call."""


class Upstream:
    """One server on loopback, in this event loop."""

    def __init__(self, name: str = "upstream", port: int = 0) -> None:
        self.name, self.port = name, port
        self.behaviour, self.counts = Behaviour(), Counts()
        self._server: asyncio.Server | None = None
        self._web: web.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """What a backend is opened with."""
        return f"openai://127.0.0.1:{self.port}/v1"

    async def start(self) -> None:
        """Listens; again on the same port after `kill`."""
        self._web = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._server = await asyncio.get_running_loop().create_server(self._web, "127.0.0.1", self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    def kill(self) -> None:
        """As when the process is killed: every connection is reset."""
        if self._server is None or self._web is None:
            return
        self._server.close()
        for connection in self._web.connections:
            if connection.transport is not None:
                connection.transport.abort()
        self._server = self._web = None

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/v1/models":
            status = 503 if self.behaviour.hang else self.behaviour.status
            return _json({"object": "list", "data": [{"id": self.name, "object": "model"}]}, status)
        body: Body = orjson.loads(await request.read())
        self._count(request, body)
        try:
            return await self._answer(request, body)
        except asyncio.CancelledError:
            self.counts.disconnects += 1
            raise
        finally:
            self.counts.open -= 1

    def _count(self, request: web.BaseRequest, body: Body) -> None:
        self.counts.calls += 1
        self.counts.open += 1
        self.counts.most_open = max(self.counts.most_open, self.counts.open)
        self.counts.headers = request.headers
        self.counts.caller = request.transport and request.transport.get_extra_info("peername")
        self.counts.bodies.append(body)
        del self.counts.bodies[:-100]

    async def _answer(self, request: web.BaseRequest, body: Body) -> web.StreamResponse:
        behaviour = self.behaviour
        if behaviour.hang:
            await asyncio.Event().wait()
        if behaviour.status != 200 or self.counts.calls <= behaviour.fail_first:
            return _refusal(behaviour)
        if behaviour.die_after == 0:
            return self._reset(request)
        if request.path == "/v1/embeddings":
            return _json(_embeddings(body))
        answer = Answer(self.name, body, behaviour)
        if body.get("stream"):
            return await self._stream(request, answer)
        await asyncio.sleep(behaviour.seconds_a_word * len(answer.words))
        if behaviour.raw is not None:
            return web.Response(body=b"".join(behaviour.raw), content_type="application/json")
        return _json(answer.whole())

    def _reset(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _stream(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        response = web.StreamResponse(headers=SSE_HEADERS)
        await response.prepare(request)
        for place, event in enumerate(answer.events()):
            if place == answer.behaviour.die_after:
                return self._reset(request)
            if place == answer.behaviour.hang_after:
                await asyncio.Event().wait()
            if place == answer.behaviour.error_after:
                await response.write(b'data: {"error":{"message":"out of memory","code":500}}\n\n')
                return response
            await response.write(event)
            if answer.behaviour.seconds_a_word:
                await asyncio.sleep(answer.behaviour.seconds_a_word)
        if answer.behaviour.seconds_to_the_end:
            await asyncio.sleep(answer.behaviour.seconds_to_the_end)
        await response.write_eof()
        return response


class Answer:
    """What is said to one call: words that name the upstream, or a JSON object where a schema is given."""

    def __init__(self, name: str, body: Body, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self._chat = "messages" in body
        self._model = body.get("model")
        self._logprobs = bool(body.get("logprobs"))
        self._prompt_tokens = len(str(body.get("messages") or body.get("prompt")).split())
        self._tells_usage = behaviour.tells_usage
        whole = [f"{name}-{place} " for place in range(behaviour.words)]
        if body.get("response_format"):
            whole = ['{"answer": ', f'"{name}"', "}"]
        for stop in body.get("stop") or ():
            whole = "".join(whole).partition(stop)[0].split(" ")
        limit = body.get("max_tokens") or len(whole)
        self.words, self._cut = whole[:limit], limit < len(whole)

    def whole(self) -> dict[str, Any]:
        """The body of an answer that is not streamed."""
        text = "".join(self.words)
        choice: dict[str, Any] = {"index": 0, "finish_reason": self._reason}
        choice |= {"message": {"role": "assistant", "content": text}} if self._chat else {"text": text}
        if self._logprobs:
            choice["logprobs"] = self._likelihoods(self.words)
        answer = {"id": "x", "object": "chat.completion", "created": 0, "model": self._model, "choices": [choice]}
        return answer | ({"usage": self._usage} if self._tells_usage else {})

    def events(self) -> list[bytes]:
        """The stream: a word an event, then the reason, the usage and the end."""
        if self.behaviour.raw is not None:
            return list(self.behaviour.raw)
        events = [_event({"choices": [self._delta(word)]}) for word in self.words]
        last: dict[str, Any] = {"index": 0, "finish_reason": self._reason}
        nothing: dict[str, Any] = {"delta": {}} if self._chat else {"text": ""}
        events.append(_event({"choices": [last | nothing]}))
        usage = [_event({"choices": [], "usage": self._usage})] if self._tells_usage else []
        return [*events, *usage, b"data: [DONE]\n\n"]

    def _delta(self, word: str) -> dict[str, Any]:
        said = {"delta": {"content": word}} if self._chat else {"text": word}
        return {"index": 0, **said, **({"logprobs": self._likelihoods([word])} if self._logprobs else {})}

    def _likelihoods(self, words: list[str]) -> dict[str, Any]:
        if not self._chat:
            tops = [{word: -0.5, "other": -1.5} for word in words]
            return {"tokens": words, "token_logprobs": [-0.5] * len(words), "top_logprobs": tops}
        top = [{"token": "other", "logprob": -1.5}]
        return {"content": [{"token": word, "logprob": -0.5, "top_logprobs": top} for word in words]}

    @property
    def _reason(self) -> str:
        return "length" if self._cut else "stop"

    @property
    def _usage(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": len(self.words),
            "total_tokens": self._prompt_tokens + len(self.words),
            "prompt_tokens_details": {"cached_tokens": 1},
        }


def _embeddings(body: Body) -> dict[str, Any]:
    vectors = [
        [float(zlib.crc32(f"{text}{place}".encode()) % 97 + 1) for place in range(DIMENSIONS)] for text in body["input"]
    ]
    data = [{"index": place, "embedding": vector} for place, vector in enumerate(vectors)]
    # The order of the answer is the index's, not the list's.
    return {"data": data[::-1], "usage": {"prompt_tokens": sum(len(text.split()) for text in body["input"])}}


def _refusal(behaviour: Behaviour) -> web.Response:
    status = behaviour.status if behaviour.status != 200 else 503
    headers = {"Retry-After": behaviour.retry_after} if behaviour.retry_after is not None else None
    problem = {"error": {"message": f"refused with {status}", "type": "test", "param": "max_tokens", "code": None}}
    return _json(problem, status, headers)


def _json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, headers=headers, content_type="application/json")


def _event(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


async def _serve(port: int, words: int) -> None:
    async with Upstream("upstream", port) as upstream:
        upstream.behaviour = Behaviour(words=words)
        print(upstream.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A fake upstream that speaks OpenAI's API.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--words", type=int, default=6)
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.port, arguments.words))
