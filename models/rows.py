"""What rankers are fitted on: rows of features with labels, in queries that stand one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.normalizer import Normalizer

REACTIONS = ("like", "love", "return")
"""What a user may do once they turned to an item: rate it 4 or more, rate it 5, turn to another within ten minutes."""


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """M rows in Q queries; a query is the list one user was choosing from."""

    features: NDArray[np.float32]
    """(M, F)"""
    labels: NDArray[np.float32]
    """(M,) graded relevance, 0 for irrelevant."""
    weights: NDArray[np.float32]
    """(M,)"""
    group_sizes: NDArray[np.int64]
    """(Q,) rows of each query; sums to M."""
    reactions: NDArray[np.float32] | None = None
    """(M, len(REACTIONS)) 1 or 0, NaN where unknown, as it is of all that nobody turned to; None: nothing is known."""

    def __len__(self) -> int:
        return int(self.labels.size)

    def of_queries(self, queries: NDArray[np.bool_]) -> LabelledRows:
        """The rows of the queries that a (Q,) mask keeps."""
        rows = np.repeat(queries, self.group_sizes)
        reactions = None if self.reactions is None else self.reactions[rows]
        sizes = self.group_sizes[queries]
        return LabelledRows(self.features[rows], self.labels[rows], self.weights[rows], sizes, reactions)


@dataclass(frozen=True, slots=True)
class HeadRows:
    """M rows with a label for each of H heads."""

    features: NDArray[np.float32]
    """(M, F)"""
    labels: NDArray[np.float32]
    """(M, H) 1 or 0; NaN where a head's label is unknown."""
    weights: NDArray[np.float32]
    """(M,)"""

    def __len__(self) -> int:
        return int(self.weights.size)


class RowLayout(Protocol):
    """What a network must know of its rows: numeric columns first, then indices into vocabularies."""

    @property
    def numeric_columns(self) -> tuple[str, ...]:
        """Names, in order."""

    @property
    def cardinalities(self) -> Mapping[str, int]:
        """Number of indices, the unknown (0) included, by categorical column, in order."""

    @property
    def normalizer(self) -> Normalizer | None:
        """Statistics of the numeric columns."""
