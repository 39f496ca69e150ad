"""native://minilm: vectors of sentences from the encoder in this process; it writes no text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from models.sentence_encoder import SentenceEncoder
from services.llm.calls import Completion, Generation, Piece
from services.runtime.errors import DeadlineExceeded, InvalidArgument, TooMany

MODEL = "minilm"
MOST_WAITING = 64
"""Calls that wait for the one thread; more are told to come back."""


class SentenceBackend:
    """One thread encodes, a call after the other: side by side they would only share the core."""

    def __init__(self, encoder: SentenceEncoder) -> None:
        self._encoder = encoder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sentences")
        self._waiting = 0

    async def embed(self, model: str, texts: Sequence[str], timeout: float) -> tuple[NDArray[np.float32], int]:
        """Vectors of length one, float32 [texts, 384], and the tokens read."""
        if self._waiting >= MOST_WAITING:
            raise TooMany("The sentence encoder has all it can do; try again in a second.")
        self._waiting += 1
        try:
            async with asyncio.timeout(timeout):
                return await asyncio.get_running_loop().run_in_executor(self._thread, self._encoded, texts)
        except TimeoutError:
            raise DeadlineExceeded(f"The sentence encoder did not answer within {timeout:g} s.") from None
        finally:
            self._waiting -= 1

    async def complete(self, request: Generation, timeout: float) -> Completion:
        """InvalidArgument: this model writes nothing."""
        raise self._refusal(request)

    async def stream(self, request: Generation, timeout: float) -> AsyncIterator[Piece]:
        """InvalidArgument: this model writes nothing."""
        raise self._refusal(request)
        yield

    async def ready(self) -> bool:
        """Always: the encoder is in memory."""
        return True

    async def close(self) -> None:
        """Ends the thread when the call that runs is done."""
        await asyncio.to_thread(self._thread.shutdown, wait=True, cancel_futures=True)

    def _encoded(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], int]:
        return self._encoder.encode(texts), self._encoder.count_tokens(texts)

    def _refusal(self, request: Generation) -> InvalidArgument:
        return InvalidArgument(f"{request.model} makes vectors and writes no text; ask /v1/embeddings.", field="model")
