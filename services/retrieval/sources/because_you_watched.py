"""Items near single ones that the user liked lately: a taste has corners that one vector of it cuts off."""

from __future__ import annotations

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


class BecauseYouWatched:
    """Neighbours of liked items in the space of the two towers."""

    name = "because_you_watched"

    def __init__(self, index: VectorIndex) -> None:
        self._index = index

    @property
    def remote(self) -> bool:
        """Whether the index is another process."""
        return self._index.remote

    def propose(self, query: Query, k: int) -> Proposal:
        """The nearest free items of each liked one in turn, k in all; none where nothing was liked."""
        if query.genres is not None and not query.genres:
            return Proposal(NO_ROWS, NO_ROWS)
        around = liked_places(query)
        barred = query.catalog.ids[query.barred]
        share = -(-k // max(around.size, 1))
        lists = [self._near(query, place, share, barred) for place in around.tolist()]
        ranked = [row for rows in zip_longest(*(found.tolist() for found in lists)) for row in rows if row is not None]
        return Proposal(np.array(list(dict.fromkeys(ranked))[:k], np.int64), NO_ROWS)

    def _near(self, query: Query, place: int, k: int, barred: NDArray[np.uint64]) -> Rows:
        vector = np.asarray(query.models.tower.item_vectors[place])
        hits = self._index.search(vector, k, categories=query.genres or (), exclude=barred)
        rows = query.catalog.rows_of(hits.ids)
        return rows[(rows >= 0) & query.free[rows]]


def liked_places(query: Query) -> Rows:
    """(<= LIKED_ITEMS,) the tower's rows of the newest liked items, newest first."""
    rows = query.catalog.known_rows(newest_liked(query.user))
    places = query.catalog.alignments[0].places[rows]
    return places[places >= 0][:LIKED_ITEMS]


def newest_liked(user: UserState) -> NDArray[np.uint64]:
    """Items of the history that the user liked or, where events carry no value, turned to; newest first."""
    liked = np.isnan(user.history_values) | (user.history_values >= LIKED)
    return user.history[liked][::-1]
