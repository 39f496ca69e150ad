"""Items whose vectors lie nearest to one of the user's interests, from the vector index."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.retrieval.catalog import Rows
from services.retrieval.index.protocol import Hits, VectorIndex
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
        hits = _nearest(self._index, query, k, query.catalog.ids[barred])
        rows = query.catalog.rows_of(hits.ids)
        free = (rows >= 0) & query.free[rows]
        floor = float(hits.scores[-1]) if hits.scores.size == k else -np.inf
        return Proposal(rows[free], _nearer(query, barred, floor, k))


def _nearest(index: VectorIndex, query: Query, k: int, exclude: NDArray[np.uint64]) -> Hits:
    """The k points nearest to any interest, each once: what is among them is among the k of its nearest interest."""
    interests, genres = query.interests, query.genres or ()
    if len(interests) == 1:
        return index.search(interests[0], k, categories=genres, exclude=exclude)
    return best_of(index.search_each(interests, k, categories=genres, exclude=exclude), k)


def best_of(lists: Sequence[Hits], k: int) -> Hits:
    """The k best of several lists, each point with the best of its scores; ties go to the smaller id."""
    ids = np.concatenate([hits.ids for hits in lists])
    scores = np.concatenate([hits.scores for hits in lists])
    order = np.lexsort((ids, -scores))
    _, firsts = np.unique(ids[order], return_index=True)
    chosen = order[np.sort(firsts)[:k]]
    return Hits(ids[chosen], scores[chosen])


def _nearer(query: Query, barred: Rows, floor: float, k: int) -> Rows:
    scores = query.tower_scores(barred)
    nearer = np.flatnonzero(scores >= floor)
    return barred[nearer[np.argsort(-scores[nearer], kind="stable")[:k]]]
