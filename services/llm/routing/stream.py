"""A stream on its way through a router."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Protocol, Self, runtime_checkable

from services.llm.calls import Piece
from services.llm.routing.origin import Origin
from services.runtime.errors import DeadlineExceeded, Unavailable


class RoutedStream:
    """Pieces of one backend. Closing it, or cancelling who reads it, frees the backend at once.

    async with aclosing(router.stream(request, timeout)) as stream:
        async for piece in stream: ...
    """

    def __init__(self, pieces: AsyncGenerator[Piece, None], origin: Origin) -> None:
        self._pieces, self._origin = pieces, origin

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Piece:
        return await anext(self._pieces)

    async def aclose(self) -> None:
        """Ends it, whatever has come; again does nothing."""
        await self._pieces.aclose()

    @property
    def model(self) -> str:
        """Of the chain that answers; empty before the first piece."""
        return self._origin.model

    @property
    def backend(self) -> str:
        """That answers; empty before the first piece."""
        return self._origin.backend

    @property
    def tries(self) -> int:
        """It took, over all models of the chain."""
        return self._origin.tries


async def begun(pieces: AsyncIterator[Piece], seconds: float) -> tuple[Piece, AsyncIterator[Piece]]:
    """The first piece, within so many seconds, and the rest. Unavailable when there is none."""
    try:
        async with asyncio.timeout(seconds):
            return await anext(pieces), pieces
    except StopAsyncIteration:
        raise Unavailable("A backend ended its stream before it began.") from None
    except TimeoutError:
        raise DeadlineExceeded(f"No piece came within {seconds:.3g} s.") from None


@runtime_checkable
class _Closing(Protocol):
    async def aclose(self) -> None: ...


async def close(pieces: AsyncIterator[Piece]) -> None:
    """Closes a backend's stream, which is an async generator by its contract."""
    if isinstance(pieces, _Closing):
        await pieces.aclose()
