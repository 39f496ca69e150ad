"""No more than a few items of the slate by one creator."""

from __future__ import annotations

from collections.abc import Sequence

from services.reranker.pool import Pool


class CreatorCap:
    """Counts items per creator; of an item with several creators each one counts."""

    name = "creator_cap"

    def __init__(self, pool: Pool, limit: int) -> None:
        self._pool = pool
        self._limit = limit

    def against(self, taken: Sequence[int], place: int) -> str:
        """Why a candidate may not join those taken; empty when it may."""
        for creator in self._pool.creators(place):
            if sum(creator in self._pool.creators(other) for other in taken) >= self._limit:
                return f"more than {self._limit} by {creator}"
        return ""
