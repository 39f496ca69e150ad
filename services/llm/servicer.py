"""The gRPC side: translate, ask the pipeline as the house's own caller, translate back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, get_args

import orjson

from services.llm.admission.admission import HOUSE
from services.llm.calls import Generation, Message, Role, Sampling, Usage
from services.llm.pipeline import Pipeline
from services.pb import llm_pb2, llm_pb2_grpc
from services.runtime.errors import InvalidArgument

_ROLES = frozenset(get_args(Role))


class LlmServicer(llm_pb2_grpc.LlmServicer):
    """One method per rpc. Callers in the house need no key and have no limits; all else is as for everybody."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    async def Complete(self, request: llm_pb2.GenerateRequest, context: Any) -> llm_pb2.GenerateResponse:
        answered = await self._pipeline.complete(HOUSE, generation_of(request))
        completion = answered.completion
        return llm_pb2.GenerateResponse(
            text=completion.text, finish_reason=completion.finish_reason, usage=_usage(completion.usage),
            model=answered.model, backend=answered.backend, cache=answered.cache,
        )  # fmt: skip

    async def Generate(self, request: llm_pb2.GenerateRequest, context: Any) -> AsyncIterator[llm_pb2.GeneratedPiece]:
        pieces = self._pipeline.stream(HOUSE, generation_of(request))
        try:
            async for piece in pieces:
                yield llm_pb2.GeneratedPiece(
                    text=piece.text,
                    finish_reason=piece.finish_reason or "",
                    usage=None if piece.usage is None else _usage(piece.usage),
                )
        finally:
            await pieces.aclose()

    async def Embed(self, request: llm_pb2.EmbedRequest, context: Any) -> llm_pb2.EmbedResponse:
        rows, tokens = await self._pipeline.embed(HOUSE, request.model, list(request.texts))
        return llm_pb2.EmbedResponse(dimensions=rows.shape[1], vectors=rows.astype("<f4").tobytes(), tokens=tokens)

    async def ListModels(self, request: llm_pb2.ListLanguageModels, context: Any) -> llm_pb2.ModelList:
        return llm_pb2.ModelList(
            models=[
                llm_pb2.ModelState(
                    name=state.name,
                    fallback=state.fallbacks,
                    backends=[
                        llm_pb2.BackendState(url=b.url, breaker=b.breaker, in_flight=b.in_flight)
                        for b in state.backends
                    ],
                )
                for state in self._pipeline.states()
            ]
        )


def generation_of(request: llm_pb2.GenerateRequest) -> Generation:
    """The call in a request; InvalidArgument names the field that is wrong."""
    if bool(request.messages) == bool(request.prompt):
        raise InvalidArgument("Give messages or a prompt, and not both.", field="messages")
    return Generation(
        request.model,
        tuple(Message(_role(m.role), m.content) for m in request.messages),
        prompt=request.prompt or None,
        sampling=Sampling(
            max_tokens=request.max_tokens or None,
            temperature=request.temperature,
            top_p=request.top_p or 1.0,
            seed=request.seed if request.HasField("seed") else None,
            stop=tuple(request.stop),
            json_schema=_schema(request.json_schema),
        ),
        priority=request.priority,
    )


def _role(name: str) -> Role:
    if name not in _ROLES:
        raise InvalidArgument(f"role must be one of {', '.join(sorted(_ROLES))}, not {name!r}.", field="messages")
    return name  # type: ignore[return-value]  # it is one of the literals


def _schema(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        schema = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"json_schema is not JSON: {error}.", field="json_schema") from None
    if not isinstance(schema, dict):
        raise InvalidArgument("json_schema must be an object.", field="json_schema")
    return schema


def _usage(usage: Usage) -> llm_pb2.TokenUsage:
    return llm_pb2.TokenUsage(
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
    )
