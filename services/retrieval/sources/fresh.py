"""New items that had no chance to become popular yet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.retrieval.catalog import Catalog, Rows
from services.retrieval.query import Query
from services.retrieval.sources.source import Proposal

_DECAY = 0.9
"""Weight of a history item against the next newer one."""


class Fresh:
    """Chooses by genre among the newest of the catalog's little-watched items."""

    name = "fresh"
    remote = False

    def __init__(self, catalog: Catalog, pool: int, most_events: float) -> None:
        newest = catalog.newest_first()
        counts = np.nan_to_num(catalog.column("event_count"))[newest]
        self._pool: Rows = newest[counts <= most_events][:pool]
        """Newest first."""

    def propose(self, query: Query, k: int) -> Proposal:
        """The k free items of the pool that match the history's genres best; ties and cold users: newest first."""
        table_rows = query.catalog.table_rows
        genres = query.catalog.items.genre_hot[table_rows[self._pool]]
        # By cosine: an item must not win by listing every genre.
        affinity = genres @ _genre_taste(query) / np.sqrt(np.maximum(genres.sum(axis=1), 1))
        ordered = self._pool[np.argsort(-affinity, kind="stable")]
        free = query.codes[ordered] == 0
        return Proposal(ordered[free][:k], ordered[:k][~free[:k]])


def _genre_taste(query: Query) -> NDArray[np.float32]:
    """(G,) genres of the history, the newest counting most."""
    rows = query.catalog.items.rows_of(query.user.history)
    weights = (_DECAY ** np.arange(rows.size - 1, -1, -1)).astype(np.float32)
    known = rows >= 0
    taste: NDArray[np.float32] = weights[known] @ query.catalog.items.genre_hot[rows[known]]
    return taste
