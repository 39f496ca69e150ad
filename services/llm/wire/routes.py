"""What each address does: read the request, ask the pipeline, answer in OpenAI's shape."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import unquote

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.llm.calls import Generation, Piece
from services.llm.pipeline import Pipeline
from services.llm.wire import answers
from services.llm.wire.answers import ChatShape, Chunks, Shape, TextShape
from services.llm.wire.exchange import Exchange
from services.llm.wire.problems import error_of
from services.llm.wire.requests import ChatRequest, CompletionRequest, EmbeddingsRequest, parse
from services.runtime.errors import CascadeError, NotFound
from services.runtime.logs import get_logger

Handler = Callable[[Exchange], Awaitable[None]]
log = get_logger("wire")


class Routes:
    """Handlers by method and path."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._started = int(time.time())
        self._handlers: Mapping[tuple[str, str], Handler] = {
            ("POST", "/v1/chat/completions"): self._chat,
            ("POST", "/v1/completions"): self._completion,
            ("POST", "/v1/embeddings"): self._embeddings,
            ("GET", "/v1/models"): self._models,
            ("GET", "/v1/usage"): self._usage,
            ("GET", "/health/live"): self._live,
            ("GET", "/health/ready"): self._ready,
            ("GET", "/metrics"): self._metrics,
        }
        self._paths = frozenset(path for _, path in self._handlers)

    def of(self, method: str, path: str) -> tuple[str, Handler]:
        """(route as metrics name it, handler)."""
        if handler := self._handlers.get((method, path)):
            return path, handler
        if method == "GET" and path.startswith("/v1/models/"):
            return "/v1/models/{model}", lambda exchange: self._model(exchange, unquote(path[11:]))
        return "unknown", self._wrong_method if path in self._paths else self._unknown

    async def _chat(self, exchange: Exchange) -> None:
        caller = self._pipeline.caller(exchange.key)
        request = parse(ChatRequest, await exchange.body())
        await self._generate(exchange, caller, request.generation, request, ChatShape())

    async def _completion(self, exchange: Exchange) -> None:
        caller = self._pipeline.caller(exchange.key)
        request = parse(CompletionRequest, await exchange.body())
        await self._generate(exchange, caller, request.generation, request, TextShape())

    async def _generate(
        self, exchange: Exchange, caller: Any, generation: Generation, request: Any, shape: Shape
    ) -> None:
        if request.stream:
            pieces = self._pipeline.stream(caller, generation)
            # Until the first piece is there, what goes wrong is a status of its own.
            first = await exchange.while_wanted(anext(pieces))
            chunks = Chunks(shape, generation.model, request.include_usage)
            await exchange.events(_events(chunks, first, pieces))
            return
        answered = await exchange.while_wanted(self._pipeline.complete(caller, generation))
        await exchange.json(200, shape.whole(answered.completion, generation.model), answered.headers)

    async def _embeddings(self, exchange: Exchange) -> None:
        caller = self._pipeline.caller(exchange.key)
        request = parse(EmbeddingsRequest, await exchange.body())
        rows, tokens = await exchange.while_wanted(self._pipeline.embed(caller, request.model, request.input))
        await exchange.json(200, answers.vectors(rows, request.model, tokens, request.encoding_format))

    async def _models(self, exchange: Exchange) -> None:
        names = self._pipeline.models(self._pipeline.caller(exchange.key))
        await exchange.json(200, answers.models(names, self._started))

    async def _model(self, exchange: Exchange, name: str) -> None:
        if name not in self._pipeline.models(self._pipeline.caller(exchange.key)):
            raise NotFound(f"There is no model {name!r}; GET /v1/models lists them.", field="model")
        await exchange.json(200, answers.model(name, self._started))

    async def _usage(self, exchange: Exchange) -> None:
        await exchange.json(200, self._pipeline.usage(self._pipeline.caller(exchange.key)))

    async def _live(self, exchange: Exchange) -> None:
        await exchange.json(200, {"status": "alive"})

    async def _ready(self, exchange: Exchange) -> None:
        states = self._pipeline.states()
        await exchange.json(200, {"status": "ready", "models": states})

    async def _metrics(self, exchange: Exchange) -> None:
        self._pipeline.observe()
        await exchange.answer(200, generate_latest(), (b"content-type", CONTENT_TYPE_LATEST.encode()))

    async def _unknown(self, exchange: Exchange) -> None:
        await exchange.json(404, error_of(NotFound("There is nothing at this address.")))

    async def _wrong_method(self, exchange: Exchange) -> None:
        await exchange.json(405, error_of(NotFound("This address does not answer this method.")))


async def _events(chunks: Chunks, first: Piece, rest: AsyncGenerator[Piece]) -> AsyncGenerator[bytes]:
    """The events of a stream. What goes wrong after the first piece is an event too, and the last one."""
    try:
        yield chunks.begin() + chunks.of(first)
        async for piece in rest:
            yield chunks.of(piece)
        yield Chunks.DONE
    except CascadeError as error:
        log.warning("a stream broke", reason=error.sentence)
        yield chunks.failed(error_of(error))
    finally:
        await rest.aclose()
