"""What a backend is: something that continues text, or turns sentences into vectors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from services.llm.calls import Completion, Generation, Piece


class Backend(Protocol):
    """Errors are those of the tree. Unavailable, DeadlineExceeded and TooMany say that another backend, or the same
    one later, may do better; InvalidArgument, TooLarge and NotFound say that none will.
    """

    async def complete(self, request: Generation, timeout: float) -> Completion:
        """The whole answer within `timeout` seconds."""
        ...

    def stream(self, request: Generation, timeout: float) -> AsyncIterator[Piece]:
        """The answer as it comes, an async generator: closing it frees what it held, at once.

        `timeout` is the longest silence in seconds, before the first piece and between any two.
        """
        ...

    async def embed(self, model: str, texts: Sequence[str], timeout: float) -> tuple[npt.NDArray[np.float32], int]:
        """Vectors of length one, float32 [texts, dimensions], and the tokens read."""
        ...

    async def ready(self) -> bool:
        """True when it would take a call now. Never raises."""
        ...

    async def close(self) -> None:
        """Ends what goes on and frees everything."""
        ...
