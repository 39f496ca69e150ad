"""Completions as caches keep them: whole, weighed, and told as a stream again."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from services.llm.calls import Completion, FinishReason, Piece, TokenLogprob, Usage

_OVERHEAD_BYTES = 1024
"""What an answer weighs besides its text: its objects, its key and its place in the cache."""
_LOGPROB_BYTES = 256
"""A token with its probability; as much again for each alternative."""


def weight(completion: Completion) -> int:
    """Bytes of memory, about."""
    logprobs = sum(1 + len(token.top) for token in completion.logprobs)
    return _OVERHEAD_BYTES + sys.getsizeof(completion.text) + _LOGPROB_BYTES * logprobs


def pieces(completion: Completion) -> Iterator[Piece]:
    """The answer as a stream: all of the text, then the reason and the usage."""
    if completion.text or completion.logprobs:
        yield Piece(completion.text, completion.logprobs)
    yield Piece(finish_reason=completion.finish_reason, usage=completion.usage)


class Recorder:
    """Puts a stream together while it passes by. A stream beyond `limit` characters is let go of."""

    def __init__(self, limit: int = 1_000_000) -> None:
        self._limit = limit
        self._length = 0
        self._texts: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._reason: FinishReason | None = None
        self._usage: Usage | None = None

    def take(self, piece: Piece) -> None:
        """The next piece of the stream."""
        self._length += len(piece.text)
        if self._length > self._limit:
            self._texts.clear()
            self._logprobs.clear()
            return
        self._texts.append(piece.text)
        self._logprobs.extend(piece.logprobs)
        self._reason = piece.finish_reason or self._reason
        self._usage = piece.usage or self._usage

    @property
    def completion(self) -> Completion | None:
        """The whole answer; None when the stream has not ended by itself, told no usage, or was too long."""
        if self._reason is None or self._usage is None:
            return None
        return Completion("".join(self._texts), self._reason, self._usage, tuple(self._logprobs))
