"""Calls and answers in OpenAI's JSON, as a client writes and reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from services.llm.calls import Completion, FinishReason, Generation, Piece, Sampling, TokenLogprob, Usage

CHARACTERS_A_TOKEN = 4
"""For upstreams that do not tell what they have read."""

CHAT, COMPLETIONS, EMBEDDINGS, MODELS = "/chat/completions", "/completions", "/embeddings", "/models"
"""Paths below /v1."""

Json = Mapping[str, Any]


def path_of(request: Generation) -> str:
    """Where the call goes, below /v1."""
    return CHAT if request.prompt is None else COMPLETIONS


def body_of(request: Generation, *, stream: bool) -> bytes:
    """The call as JSON. The priority is not told: clouds refuse the field, and vLLM does unless it is set up for it."""
    sampling, chat = request.sampling, request.prompt is None
    body: dict[str, Any] = {"model": request.model, "temperature": sampling.temperature, "top_p": sampling.top_p}
    if chat:
        body["messages"] = [{"role": message.role, "content": message.content} for message in request.messages]
    else:
        body["prompt"] = request.prompt
    if sampling.max_tokens is not None or not chat:
        # Without the field a continued prompt ends after 16 tokens; null asks vLLM for what the context leaves.
        body["max_tokens"] = sampling.max_tokens
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    _add_options(body, sampling, chat)
    return orjson.dumps(body)


def _add_options(body: dict[str, Any], sampling: Sampling, chat: bool) -> None:
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.stop:
        body["stop"] = sampling.stop
    if sampling.logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": sampling.logprobs} if chat else {"logprobs": sampling.logprobs}
    if sampling.json_schema:
        schema = {"name": "answer", "schema": sampling.json_schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif sampling.json_schema is not None:
        body["response_format"] = {"type": "json_object"}


def completion_of(body: bytes, request: Generation) -> Completion:
    """A whole answer; KeyError, IndexError, TypeError, AttributeError or ValueError when it is none."""
    answer = orjson.loads(body)
    choice = answer["choices"][0]
    text = (choice["text"] if request.prompt is not None else choice["message"]["content"]) or ""
    usage, logprobs = answer.get("usage"), choice.get("logprobs")
    return Completion(
        text,
        _reason(choice.get("finish_reason")),
        usage_of(usage) if usage else _estimate(request, len(text) // CHARACTERS_A_TOKEN + 1),
        _logprobs(logprobs) if logprobs else (),
    )


class Delivery:
    """A streamed answer while it comes: events are taken in, pieces handed out."""

    def __init__(self, request: Generation) -> None:
        self._request = request
        self._texts: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._reason: FinishReason | None = None
        self._usage: Usage | None = None
        self._events = 0

    @property
    def finished(self) -> bool:
        """The reason has been told: whatever else happens, the text is whole."""
        return self._reason is not None

    @property
    def holds_text(self) -> bool:
        """There is something to hand out."""
        return bool(self._texts)

    def take(self, event: Json) -> None:
        """One event's JSON; KeyError, IndexError, TypeError, AttributeError or ValueError when it is no piece."""
        if usage := event.get("usage"):
            self._usage = usage_of(usage)
        # The event with the usage has no choice.
        for choice in event["choices"][:1]:
            text = choice["text"] if self._request.prompt is not None else choice["delta"].get("content")
            if text:
                self._texts.append(text)
                self._events += 1
            if logprobs := choice.get("logprobs"):
                self._logprobs.extend(_logprobs(logprobs))
            if reason := choice.get("finish_reason"):
                self._reason = _reason(reason)

    def piece(self) -> Piece:
        """What has come since the last piece."""
        return Piece("".join(self._texts), self._taken_logprobs())

    def last(self) -> Piece:
        """The rest, with the reason and the usage; an upstream that tells none is taken to send a token an event."""
        usage = self._usage or _estimate(self._request, self._events)
        return Piece("".join(self._texts), self._taken_logprobs(), self._reason or "stop", usage)

    def _taken_logprobs(self) -> tuple[TokenLogprob, ...]:
        taken = tuple(self._logprobs)
        self._logprobs.clear()
        self._texts.clear()
        return taken


def embeddings_body(model: str, texts: Sequence[str]) -> bytes:
    """A call for vectors."""
    return orjson.dumps({"model": model, "input": list(texts), "encoding_format": "float"})


def embeddings_of(body: bytes, count: int) -> tuple[npt.NDArray[np.float32], int]:
    """Vectors of length one [count, dimensions] in the order of the texts, and the tokens read.

    KeyError, TypeError, AttributeError or ValueError when the answer does not hold them.
    """
    answer = orjson.loads(body)
    rows = sorted(answer["data"], key=lambda row: int(row["index"]))
    vectors = np.array([row["embedding"] for row in rows], np.float32)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if vectors.ndim != 2 or len(vectors) != count or not np.isfinite(lengths).all() or not lengths.all():
        raise ValueError(f"{count} vectors were asked for")
    return vectors / lengths, int((answer.get("usage") or {}).get("prompt_tokens") or 0)


def usage_of(usage: Json) -> Usage:
    """Tokens read, written and found in a cache."""
    details = usage.get("prompt_tokens_details") or {}
    return Usage(
        int(usage.get("prompt_tokens") or 0),
        int(usage.get("completion_tokens") or 0),
        int(details.get("cached_tokens") or 0),
    )


def _estimate(request: Generation, completion_tokens: int) -> Usage:
    return Usage(len(request.text) // CHARACTERS_A_TOKEN + 1, completion_tokens)


def _reason(told: object) -> FinishReason:
    # A model that calls tools, or that a filter cuts short, has stopped of its own accord as far as callers see.
    return "length" if told == "length" else "stop"


def _logprobs(told: Json) -> tuple[TokenLogprob, ...]:
    if "tokens" in told:
        tops = told.get("top_logprobs") or [None] * len(told["tokens"])
        columns = zip(told["tokens"], told["token_logprobs"], tops, strict=True)
        return tuple(TokenLogprob(token, logprob or 0.0, tuple((top or {}).items())) for token, logprob, top in columns)
    return tuple(
        TokenLogprob(
            entry["token"],
            entry["logprob"],
            tuple((top["token"], top["logprob"]) for top in entry.get("top_logprobs") or ()),
        )
        for entry in told.get("content") or ()
    )
