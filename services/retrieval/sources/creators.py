"""Items by the makers of what the user turned to; where a catalog names no makers, its genres stand in."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from models.feature_blocks import LIKED
from models.items import ItemTable
from services.retrieval.catalog import Catalog
from services.retrieval.query import Query
from services.retrieval.sources.source import NO_ROWS, Proposal, best_free

_DECAY = 0.95
"""Weight of a history item against the next newer one."""
_LIKED_MORE = 2.0
"""Weight of a liked item against another one."""


class Creators:
    """A user follows whom they keep turning to, whether or not they say so."""

    name = "creators"
    remote = False

    def __init__(self, catalog: Catalog) -> None:
        self._made_by = _made_by(catalog.items)
        self._makes = self._made_by.T.tocsr()

    def propose(self, query: Query, k: int) -> Proposal:
        """The k free items whose makers the history holds most of, the popular first among equals."""
        rows = query.catalog.items.rows_of(query.user.history)
        known = rows >= 0
        if not known.any():
            return Proposal(NO_ROWS, NO_ROWS)
        age = np.arange(rows.size - 1, -1, -1)
        weights = _DECAY**age * np.where(query.user.history_values >= LIKED, _LIKED_MORE, 1.0)
        turned_to = np.bincount(rows[known], weights[known], self._made_by.shape[0])
        affinity = self._made_by @ (self._makes @ turned_to)
        return best_free(_on_catalog(query, affinity), query, k)


def _on_catalog(query: Query, affinity: NDArray[np.float64]) -> NDArray[np.float32]:
    """(U,) from the item table's rows; items of equal makers differ by how many turned to them."""
    scores = np.zeros(query.catalog.ids.size, np.float32)
    alive = query.catalog.alive
    popularity = np.log1p(np.nan_to_num(query.catalog.column("event_count")[alive]))
    scores[alive] = affinity[query.catalog.table_rows[alive]] * (1.0 + popularity)
    return scores


def _made_by(items: ItemTable) -> sp.csr_array:
    """(I, M) of length 1 each: makers, or genres where no item names a maker."""
    names = items.creators if any(items.creators) else items.genres
    place: dict[str, int] = {}
    columns = [place.setdefault(name, len(place)) for of_item in names for name in of_item]
    sizes = np.array([len(of_item) for of_item in names], np.int64)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    values = np.repeat(1.0 / np.sqrt(np.maximum(sizes, 1)), sizes)
    return sp.csr_array((values, np.array(columns, np.int64), offsets), shape=(len(names), max(len(place), 1)))
