"""The candidates of one request, best first, with what the rules need to know of each."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.items import ItemTable

Places = NDArray[np.int64]
"""Candidates by their place in the pool, 0 the best."""

_GENRE_SHARE = 0.8
"""Weight of genres in the similarity of two items; the rest is the release year."""
_YEAR_SCALE = 10.0
"""Years after which two items' years have little in common."""


class Pool:
    """N distinct candidates in order of their scores; NaN last, equals by id. Unknown items have no attributes."""

    def __init__(self, ids: NDArray[np.uint64], scores: NDArray[np.float32], items: ItemTable) -> None:
        self.ids = ids
        """(N,)"""
        self.scores = scores
        """(N,) falling, then NaN."""
        self._items = items
        self._rows = items.rows_of(ids)

    @classmethod
    def ordered(cls, ids: NDArray[np.uint64], scores: NDArray[np.float32], items: ItemTable) -> Self:
        """The pool of candidates given in any order; of an id that comes twice the better score counts."""
        order = np.lexsort((ids, -scores, np.isnan(scores)))
        _, first = np.unique(ids[order], return_index=True)
        order = order[np.sort(first)]
        return cls(ids[order], scores[order], items)

    def __len__(self) -> int:
        return int(self.ids.size)

    def genres(self, place: int) -> tuple[str, ...]:
        """Genres of one candidate, in the item's order; none when it is unknown."""
        row = int(self._rows[place])
        return self._items.genres[row] if row >= 0 else ()

    def creators(self, place: int) -> tuple[str, ...]:
        """Creators of one candidate; none when it is unknown."""
        row = int(self._rows[place])
        return self._items.creators[row] if row >= 0 else ()

    def column(self, name: str) -> NDArray[np.float32]:
        """(N,) one numeric item feature, NaN where unknown."""
        values = np.full(len(self), np.nan, np.float32)
        known = self._rows >= 0
        values[known] = self._items.column(name)[self._rows[known]]
        return values

    def relevance(self, places: Places) -> NDArray[np.float64]:
        """(P,) scores of some candidates scaled to 0..1; NaN becomes 0."""
        scores = self.scores[places].astype(np.float64)
        known = scores[np.isfinite(scores)]
        if not known.size or known.max() == known.min():
            return np.where(np.isfinite(scores), 1.0, 0.0)
        return np.where(np.isfinite(scores), (scores - known.min()) / (known.max() - known.min()), 0.0)

    def similarity(self, places: Places) -> NDArray[np.float64]:
        """(P, P) how alike some candidates are, 0..1 with ones on the diagonal; positive semi-definite.

        A mixture of two kernels: the cosine of genres, and exp(-|years apart| / 10). What is unknown of an item is
        like nothing else.
        """
        rows = self._rows[places]
        genres = np.where(rows[:, None] >= 0, self._items.genre_hot[rows], 0).astype(np.float64)
        genres /= np.maximum(np.linalg.norm(genres, axis=1, keepdims=True), 1e-12)
        years = self.column("year")[places].astype(np.float64)
        near = np.nan_to_num(np.exp(-np.abs(years[:, None] - years[None, :]) / _YEAR_SCALE))
        alike: NDArray[np.float64] = _GENRE_SHARE * (genres @ genres.T) + (1 - _GENRE_SHARE) * near
        np.fill_diagonal(alike, 1.0)
        return alike
