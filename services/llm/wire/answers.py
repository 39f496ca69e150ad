"""OpenAI's answers: objects of whole answers, chunks of streams, lists."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import orjson

from services.llm.calls import Completion, Piece, TokenLogprob, Usage


class Shape(Protocol):
    """How one of the two ways to generate looks on the wire."""

    def whole(self, completion: Completion, model: str) -> dict[str, Any]:
        """The object of a whole answer."""
        ...

    def first(self) -> dict[str, Any] | None:
        """The choice of a chunk before the first text; None where there is none."""
        ...

    def choice(self, piece: Piece) -> dict[str, Any]:
        """The choice of a chunk."""
        ...

    kind: str
    """`object` of a chunk."""
    prefix: str
    """What ids begin with."""


class ChatShape:
    """chat.completion and chat.completion.chunk."""

    kind = "chat.completion.chunk"
    prefix = "chatcmpl"

    def whole(self, completion: Completion, model: str) -> dict[str, Any]:
        """The object of a whole answer."""
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": completion.text, "refusal": None},
            "logprobs": _chat_logprobs(completion.logprobs),
            "finish_reason": completion.finish_reason,
        }
        return _whole(self.prefix, "chat.completion", model, choice, completion.usage)

    def first(self) -> dict[str, Any] | None:
        """The role comes before the text."""
        return {
            "index": 0,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": None,
            "finish_reason": None,
        }

    def choice(self, piece: Piece) -> dict[str, Any]:
        """The choice of a chunk."""
        return {
            "index": 0,
            "delta": {"content": piece.text} if piece.text else {},
            "logprobs": _chat_logprobs(piece.logprobs),
            "finish_reason": piece.finish_reason,
        }


class TextShape:
    """text_completion."""

    kind = "text_completion"
    prefix = "cmpl"

    def whole(self, completion: Completion, model: str) -> dict[str, Any]:
        """The object of a whole answer."""
        piece = Piece(completion.text, completion.logprobs, completion.finish_reason)
        return _whole(self.prefix, self.kind, model, self.choice(piece), completion.usage)

    def first(self) -> dict[str, Any] | None:
        """Nothing comes before the text."""
        return None

    def choice(self, piece: Piece) -> dict[str, Any]:
        """The choice of a chunk."""
        return {
            "index": 0,
            "text": piece.text,
            "logprobs": _text_logprobs(piece.logprobs),
            "finish_reason": piece.finish_reason,
        }


class Chunks:
    """The server-sent events of one stream, in order: first, pieces, usage when asked for, [DONE]."""

    DONE = b"data: [DONE]\n\n"

    def __init__(self, shape: Shape, model: str, include_usage: bool) -> None:
        self._shape = shape
        self._include_usage = include_usage
        self._head: dict[str, Any] = {
            "id": f"{shape.prefix}-{secrets.token_hex(16)}",
            "object": shape.kind,
            "created": int(time.time()),
            "model": model,
        }
        if include_usage:
            self._head["usage"] = None

    def begin(self) -> bytes:
        """What is sent before the first piece; may be empty."""
        first = self._shape.first()
        return self._event([first]) if first is not None else b""

    def of(self, piece: Piece) -> bytes:
        """The event of a piece, and the usage behind the last one."""
        event = self._event([self._shape.choice(piece)])
        if piece.usage is not None and self._include_usage:
            event += self._event([], usage=_usage(piece.usage))
        return event

    def failed(self, error: dict[str, Any]) -> bytes:
        """The event of an error after the first piece; clients raise it. Nothing follows it."""
        return b"data: " + orjson.dumps(error) + b"\n\n"

    def _event(self, choices: Sequence[dict[str, Any]], **more: Any) -> bytes:
        return b"data: " + orjson.dumps({**self._head, "choices": choices, **more}) + b"\n\n"


def vectors(rows: npt.NDArray[np.float32], model: str, tokens: int, encoding: str) -> dict[str, Any]:
    """The list of embeddings. `rows` is [texts, dimensions]; base64 holds little-endian float32."""
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": i, "embedding": _vector(row, encoding)} for i, row in enumerate(rows)
        ],
        "model": model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def models(names: Iterable[str], created: int) -> dict[str, Any]:
    """The list of models."""
    return {"object": "list", "data": [model(name, created) for name in names]}


def model(name: str, created: int) -> dict[str, Any]:
    """One model."""
    return {"id": name, "object": "model", "created": created, "owned_by": "cascade"}


def _whole(prefix: str, kind: str, model: str, choice: dict[str, Any], usage: Usage) -> dict[str, Any]:
    return {
        "id": f"{prefix}-{secrets.token_hex(16)}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
        "usage": _usage(usage),
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
    }


def _vector(row: npt.NDArray[np.float32], encoding: str) -> list[float] | str:
    return base64.b64encode(row.astype("<f4").tobytes()).decode() if encoding == "base64" else row.tolist()


def _chat_logprobs(logprobs: Sequence[TokenLogprob]) -> dict[str, Any] | None:
    if not logprobs:
        return None
    return {
        "content": [{**_token(t.token, t.logprob), "top_logprobs": [_token(*top) for top in t.top]} for t in logprobs]
    }


def _token(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}


def _text_logprobs(logprobs: Sequence[TokenLogprob]) -> dict[str, Any] | None:
    if not logprobs:
        return None
    return {
        "tokens": [t.token for t in logprobs],
        "token_logprobs": [t.logprob for t in logprobs],
        "top_logprobs": [dict(t.top) for t in logprobs],
        "text_offset": _offsets(logprobs),
    }


def _offsets(logprobs: Sequence[TokenLogprob]) -> list[int]:
    offsets, at = [], 0
    for token in logprobs:
        offsets.append(at)
        at += len(token.token)
    return offsets
