"""Items near single ones that the user liked lately: a taste has corners that one vector of it cuts off."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from models.feature_blocks import LIKED
from models.user import UserState
from services.retrieval.catalog import Rows
from services.retrieval.index.protocol import VectorIndex
from services.retrieval.query import Query
from services.retrieval.sources.source import NO_ROWS, Proposal

LIKED_ITEMS = 3
"""Newest liked items that are looked around."""
EXACT_ITEMS = 100_000
"""Up to as many items are compared one by one, in a millisecond or so; beyond, the index is searched for each."""


class BecauseYouWatched:
    """Neighbours of liked items in the space of the two towers."""

    name = "because_you_watched"

    def __init__(self, index: VectorIndex, items: int) -> None:
        self._index, self._exact = index, items <= EXACT_ITEMS

    @property
    def remote(self) -> bool:
        """Whether proposing waits for another process."""
        return self._index.remote and not self._exact

    def propose(self, query: Query, k: int) -> Proposal:
        """The nearest free items of each liked one in turn, k in all; none where nothing was liked."""
        if query.genres is not None and not query.genres:
            return Proposal(NO_ROWS, NO_ROWS)
        around = liked_places(query)
        share = -(-k // max(around.size, 1))
        vectors = np.asarray(query.models.tower.item_vectors[around])
        near = _compared if self._exact else self._searched
        lists = (rows.tolist() for rows in near(query, vectors, share))
        ranked = [row for rows in zip_longest(*lists) for row in rows if row is not None]
        return Proposal(np.array(list(dict.fromkeys(ranked))[:k], np.int64), NO_ROWS)

    def _searched(self, query: Query, vectors: NDArray[np.float32], k: int) -> Iterator[Rows]:
        barred = query.catalog.ids[query.barred]
        for vector in vectors:
            hits = self._index.search(vector, k, categories=query.genres or (), exclude=barred)
            rows = query.catalog.rows_of(hits.ids)
            yield rows[(rows >= 0) & query.free[rows]]


def _compared(query: Query, vectors: NDArray[np.float32], k: int) -> Iterator[Rows]:
    """The k nearest free rows of each (D,) vector, best first."""
    places = query.catalog.alignments[0].places
    free = np.flatnonzero(query.free & (places >= 0))
    cosines = query.models.tower.item_vectors @ vectors.T
    for of_one in cosines.T:
        scores = of_one[places[free]]
        nearest = np.argpartition(-scores, k - 1)[:k] if k < free.size else np.arange(free.size)
        yield free[nearest[np.argsort(-scores[nearest], kind="stable")]]


def liked_places(query: Query) -> Rows:
    """(<= LIKED_ITEMS,) the tower's rows of the newest liked items, newest first."""
    rows = query.catalog.known_rows(newest_liked(query.user))
    places = query.catalog.alignments[0].places[rows]
    return places[places >= 0][:LIKED_ITEMS]


def newest_liked(user: UserState) -> NDArray[np.uint64]:
    """Items of the history that the user liked or, where events carry no value, turned to; newest first."""
    liked = np.isnan(user.history_values) | (user.history_values >= LIKED)
    return user.history[liked][::-1]
