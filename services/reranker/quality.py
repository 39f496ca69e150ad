"""How good slates are beyond their scores: diverse, novel, and spread over the catalog."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.items import ItemTable
from services.runtime.metrics import COVERAGE, DIVERSITY, NOVELTY

WINDOW_SECONDS = 600.0
PARTS = 10
"""The window slides by a part of it; each part keeps the ids shown in it, so memory is bounded by the catalog."""


class SlateQuality:
    """Tells every slate to the metrics. Some 50 µs a slate."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._parts: deque[tuple[float, set[int]]] = deque(maxlen=PARTS)
        self._items = 0
        self._popularity: tuple[int, NDArray[np.float32], float] = (-1, np.empty(0, np.float32), 1.0)
        COVERAGE.set_function(self.coverage)

    def observe(self, ids: NDArray[np.uint64], items: ItemTable) -> None:
        """A slate of (M,) ids, as it will be shown."""
        rows = items.rows_of(ids)
        rows = rows[rows >= 0]
        if not rows.size:
            return
        self._items = len(items)
        self._shown_now().update(items.ids[rows].tolist())
        NOVELTY.observe(self._novelty(rows, items))
        if rows.size > 1:
            DIVERSITY.observe(diversity(items.genre_hot[rows]))

    def coverage(self) -> float:
        """Share of the catalog that was shown within the window, 0 to 1."""
        since = self._clock() - WINDOW_SECONDS
        recent = [ids for started, ids in list(self._parts) if started > since]
        return len(set().union(*recent)) / self._items if self._items else 0.0

    def _shown_now(self) -> set[int]:
        now = self._clock()
        if not self._parts or now - self._parts[-1][0] > WINDOW_SECONDS / PARTS:
            self._parts.append((now, set()))
        return self._parts[-1][1]

    def _novelty(self, rows: NDArray[np.int64], items: ItemTable) -> float:
        version, counts, total = self._popularity
        if version != items.version:
            counts = np.nan_to_num(items.column("event_count")) + 1
            total = float(counts.sum())
            self._popularity = (items.version, counts, total)
        return float(np.log2(total) - np.log2(counts[rows]).mean())


def diversity(genre_hot: NDArray[np.float32]) -> float:
    """Mean Jaccard distance over the pairs of M >= 2 items with (M, G) genres; items without any are like nothing."""
    shared = genre_hot @ genre_hot.T
    sizes = np.diagonal(shared)
    either = np.maximum(sizes[:, None] + sizes - shared, 1)
    alike = shared / either
    pairs = len(sizes) * (len(sizes) - 1)
    return float(1 - (alike.sum() - np.diagonal(alike).sum()) / pairs)
