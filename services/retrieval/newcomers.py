"""Items that came after the models were fitted: the content tower gives them a place among the other vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.content_tower import ContentTower
from models.items import ItemTable
from models.user import UserState
from services.retrieval.index import VectorIndex
from services.retrieval.query import Tower


class ExtendedTower:
    """A tower with further items at the end; users are encoded as before."""

    def __init__(self, tower: Tower, ids: NDArray[np.uint64], vectors: NDArray[np.float32]) -> None:
        self._tower = tower
        self.item_ids: NDArray[np.uint64] = np.concatenate([tower.item_ids, ids])
        """(I + N,)"""
        self.item_vectors: NDArray[np.float32] = np.concatenate([tower.item_vectors, vectors])
        """(I + N, D)"""

    def encode(self, user: UserState) -> NDArray[np.float32]:
        """(K, D)"""
        return self._tower.encode(user)


def with_newcomers(tower: Tower, content: ContentTower, items: ItemTable, index: VectorIndex) -> Tower:
    """The tower with every item of the catalog that it does not know, their vectors upserted into the index too.

    An item whose content says nothing to the tower is left to the fresh source.
    """
    ids: list[int] = []
    vectors: list[NDArray[np.float32]] = []
    genres: list[tuple[str, ...]] = []
    years = items.column("year")
    for row in np.flatnonzero(~np.isin(items.ids, tower.item_ids)).tolist():
        year = None if np.isnan(years[row]) else int(years[row])
        vector = content.vector(items.titles[row], year, items.genres[row], items.creators[row])
        if vector is not None:
            ids.append(int(items.ids[row]))
            vectors.append(vector)
            genres.append(items.genres[row])
    if not ids:
        return tower
    new = np.array(ids, np.uint64)
    index.upsert(new, np.stack(vectors), genres)
    return ExtendedTower(tower, new, np.stack(vectors))
