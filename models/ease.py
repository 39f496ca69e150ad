"""EASE with recency: which items go together, read over the newest of a history.

Steck, "Embarrassingly Shallow Autoencoders for Sparse Data" (WWW 2019), equation 8: with the inverse P of the ridged
Gram matrix of users' items, W = I - P / diag(P). Its weights are symmetric in time; the decay over the history is what
makes it follow a user.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from models.item_to_item import ItemToItem


@dataclass(frozen=True, slots=True)
class EaseConfig:
    """Hyper-parameters."""

    l2: float = 300.0
    """Ridge."""
    decay: float = 0.8
    """Weight of a history item against the next newer one."""
    last: int = 50
    """Newest history items that are looked at."""
    items: int = 6000
    """Most items, those with the most events: the inverse takes time with their third power."""
    kept: int = 200
    """Largest weights kept of each item."""


class Ease(ItemToItem):
    """W[i, j]: how much having i speaks for j, all else that goes with i discounted."""

    @classmethod
    def fit(cls, sequences: Sequence[NDArray[np.uint64]], config: EaseConfig | None = None) -> Ease:
        """From the items of each user, in any order."""
        config = config or EaseConfig()
        owners = np.repeat(np.arange(len(sequences)), [sequence.size for sequence in sequences])
        together = np.concatenate([np.empty(0, np.uint64), *sequences])
        every, rows, counts = np.unique(together, return_inverse=True, return_counts=True)
        chosen = np.sort(np.argsort(-counts, kind="stable")[: config.items])
        place = np.full(every.size, -1)
        place[chosen] = np.arange(chosen.size)
        known = place[rows] >= 0
        cells = (np.ones(np.count_nonzero(known)), (owners[known], place[rows[known]]))
        users = sp.csr_array(sp.coo_array(cells, shape=(len(sequences), chosen.size)))
        users.data[:] = 1.0  # a second event with an item says no more
        gram = (users.T @ users).toarray()
        return cls(every[chosen], _largest(_weights(gram, config.l2), config.kept), config.decay, config.last)


def _weights(gram: NDArray[np.float64], l2: float) -> NDArray[np.float64]:
    gram[np.diag_indices_from(gram)] += l2
    inverse = np.linalg.inv(gram)
    weights: NDArray[np.float64] = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0.0)
    return weights


def _largest(weights: NDArray[np.float64], kept: int) -> sp.csr_array:
    """The `kept` weights of each row that are largest in absolute value."""
    size = weights.shape[0]
    if kept < size:
        floor = np.partition(np.abs(weights), size - kept, axis=1)[:, [size - kept]]
        weights = np.where(np.abs(weights) >= floor, weights, 0.0)
    return sp.csr_array(weights.astype(np.float32))
