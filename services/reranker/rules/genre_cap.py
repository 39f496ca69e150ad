"""No more than a share of the slate from one combination of genres."""

from __future__ import annotations

from collections.abc import Sequence

from services.reranker.pool import Pool


class GenreCap:
    """Counts items with exactly the same set of genres; items without genres are never capped."""

    name = "genre_cap"

    def __init__(self, pool: Pool, limit: int) -> None:
        self._pool = pool
        self._limit = limit

    def against(self, taken: Sequence[int], place: int) -> str:
        """Why a candidate may not join those taken; empty when it may."""
        genres = frozenset(self._pool.genres(place))
        if not genres:
            return ""
        alike = sum(frozenset(self._pool.genres(other)) == genres for other in taken)
        return f"more than {self._limit} of {'|'.join(sorted(genres))}" if alike >= self._limit else ""
