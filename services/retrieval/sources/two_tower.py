"""Items whose vectors lie nearest to the user's, from the vector index."""

from __future__ import annotations

import numpy as np

from services.retrieval.catalog import Rows
from services.retrieval.index.protocol import VectorIndex
from services.retrieval.query import Query
from services.retrieval.sources.source import NO_ROWS, Proposal


class TwoTower:
    """The filters travel with the search, so they cost no candidates."""

    name = "two_tower"

    def __init__(self, index: VectorIndex) -> None:
        self._index = index

    @property
    def remote(self) -> bool:
        """Whether the index is another process."""
        return self._index.remote

    def propose(self, query: Query, k: int) -> Proposal:
        """The k nearest free items; removed are seen, hidden, excluded and deleted items nearer than the last."""
        if query.genres is not None and not query.genres:
            return Proposal(NO_ROWS, NO_ROWS)
        barred = query.barred
        hits = self._index.search(
            query.user_vector, k, categories=query.genres or (), exclude=query.catalog.ids[barred]
        )
        rows = query.catalog.rows_of(hits.ids)
        free = (rows >= 0) & query.free[rows]
        floor = float(hits.scores[-1]) if hits.scores.size == k else -np.inf
        return Proposal(rows[free], _nearer(query, barred, floor, k))


def _nearer(query: Query, barred: Rows, floor: float, k: int) -> Rows:
    scores = query.tower_scores(barred)
    nearer = np.flatnonzero(scores >= floor)
    return barred[nearer[np.argsort(-scores[nearer], kind="stable")[:k]]]
