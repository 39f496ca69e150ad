"""native://: text from the engine in this process."""

from __future__ import annotations

import ctypes
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from services.llm.calls import Completion, Generation, Piece
from services.llm.engine.chat import ChatTemplate
from services.llm.engine.config import EngineConfig
from services.llm.engine.engine import Engine
from services.llm.engine.loading import load_model, model_path
from services.llm.engine.observer import EngineObserver, EngineStats
from services.llm.engine.worker import AsyncEngine, gather_pieces
from services.runtime.errors import InvalidArgument, Unavailable

__all__ = ["EngineConfig", "NativeBackend", "open_native"]


def open_native(url: str, config: EngineConfig | None = None, observer: EngineObserver | None = None) -> NativeBackend:
    """native://smollm2, or native:///path of a GGUF file or of a folder in the Hugging Face layout.

    Returns at once; the model loads in the engine's thread, and calls wait for it. SettingsError when there is no such
    model. The observer is told in the engine's thread.
    """
    return NativeBackend(model_path(url), config or EngineConfig(), observer)


def give_memory_back() -> None:
    """Returns what loading needed and nobody holds any more: glibc would keep those 500 MB for later."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


class NativeBackend:
    """One model, one engine, one thread."""

    def __init__(self, path: Path, config: EngineConfig, observer: EngineObserver | None = None) -> None:
        self._chat: ChatTemplate | None = None

        def build() -> Engine:
            weights, tokenizer = load_model(path)
            self._chat = ChatTemplate(tokenizer)
            engine = Engine(weights, tokenizer, config, observer=observer)
            del weights
            give_memory_back()
            return engine

        self._engine = AsyncEngine(build, config.max_num_seqs + config.max_waiting)

    async def complete(self, request: Generation, timeout: float) -> Completion:
        """The whole answer within `timeout` seconds."""
        pieces = await gather_pieces(self.stream(request, timeout), timeout)
        last = pieces[-1]
        if last.finish_reason is None or last.usage is None:
            raise Unavailable("The engine ended the answer without a reason.")
        return Completion(
            text="".join(piece.text for piece in pieces),
            finish_reason=last.finish_reason,
            usage=last.usage,
            logprobs=tuple(logprob for piece in pieces for logprob in piece.logprobs),
        )

    async def stream(self, request: Generation, timeout: float) -> AsyncGenerator[Piece, None]:
        """The answer as it comes; closing it frees its blocks before the engine's next step."""
        if (request.prompt is None) == (not request.messages):
            raise InvalidArgument("Send either messages or a prompt.", field="messages")
        held: tuple[Piece, ...] = ()
        engine = self._engine.stream(
            lambda engine: self._tokens(engine, request), request.sampling, priority=request.priority, timeout=timeout
        )
        try:
            async for piece in engine:
                # Tokens whose text is not certain yet wait for it: a piece before the last has text.
                held = (*held, piece)
                if piece.text or piece.finish_reason is not None:
                    logprobs = tuple(logprob for part in held for logprob in part.logprobs)
                    held = ()
                    yield replace(piece, logprobs=logprobs)
        finally:
            await engine.aclose()

    async def embed(self, model: str, texts: Sequence[str], timeout: float) -> tuple[npt.NDArray[np.float32], int]:
        """InvalidArgument: a model of text makes no sentence vectors."""
        raise InvalidArgument(f"{model} writes text and makes no vectors; ask a model for embeddings.", field="model")

    async def ready(self) -> bool:
        """True when the model is loaded and the engine runs."""
        return self._engine.ready

    async def close(self) -> None:
        """Ends the engine's thread after its step."""
        await self._engine.close()

    @property
    def num_requests(self) -> int:
        """Calls whose answers are not finished."""
        return self._engine.num_requests

    def stats(self) -> EngineStats | None:
        """Counters of the engine; None while it loads."""
        return self._engine.stats()

    def _tokens(self, engine: Engine, request: Generation) -> list[int]:
        if request.prompt is not None or self._chat is None:
            return engine.tokenizer.encode(request.prompt or "")
        return self._chat.render(request.messages)
