"""What a source is: asked for k candidates, it proposes rows and says which of them filters took out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from services.retrieval.catalog import Rows
from services.retrieval.query import Query

NO_ROWS: Rows = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Proposal:
    """At most k rows that may be shown, best first, and rows that would have been among the best but may not."""

    rows: Rows
    removed: Rows


class Source(Protocol):
    """One way to find candidates."""

    @property
    def name(self) -> str:
        """As reports and settings spell it."""

    @property
    def remote(self) -> bool:
        """True when proposing waits for another process."""

    def propose(self, query: Query, k: int) -> Proposal:
        """The k best free rows, fewer when the source knows no more."""


def best(scores: NDArray[np.float32], k: int) -> Rows:
    """Rows of the k highest positive scores, best first, ties by row; NaN and 0 say nothing and are left out."""
    rows = np.flatnonzero(scores > 0)
    if rows.size > k:
        rows = rows[np.argpartition(-scores[rows], k)[:k]]
    return rows[np.lexsort((rows, -scores[rows]))]


def best_free(scores: NDArray[np.float32], query: Query, k: int) -> Proposal:
    """The k best free rows of (U,) dense scores; what filters took is told for the k best of all."""
    top = best(scores, k)
    taken = top[query.codes[top] > 0]
    if not taken.size:
        return Proposal(top, NO_ROWS)
    return Proposal(best(np.where(query.free, scores, np.float32(0)), k), taken)
