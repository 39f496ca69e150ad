"""Ordered co-visitation: what people turned to soon after an item.

    C[i, j] = sum over every later j within `window` events of i of 1 / distance,   W[i, j] = C[i, j] / events(i)

An item-to-item model in the manner of Linden et al., "Amazon.com recommendations" (2003), that keeps the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from models.item_to_item import ItemToItem


@dataclass(frozen=True, slots=True)
class CoVisitationConfig:
    """Hyper-parameters."""

    window: int = 20
    """Longest distance, in events, at which an item counts as following another."""
    decay: float = 0.6
    """Weight of a history item against the next newer one."""
    last: int = 20
    """Newest history items that are looked at."""


class CoVisitation(ItemToItem):
    """W[i, j]: how often j came soon after i, per event of i."""

    @classmethod
    def fit(cls, sequences: Sequence[NDArray[np.uint64]], config: CoVisitationConfig | None = None) -> CoVisitation:
        """Counts the transitions of sequences that each run from the oldest to the newest item of one user."""
        config = config or CoVisitationConfig()
        lengths = np.array([sequence.size for sequence in sequences], np.int64)
        together = np.concatenate([np.empty(0, np.uint64), *sequences])
        item_ids, rows = np.unique(together, return_inverse=True)
        counts = transition_counts(rows.astype(np.int32), lengths, item_ids.size, config.window)
        events = np.bincount(rows, minlength=item_ids.size)
        shares = counts.data / np.repeat(np.maximum(events, 1), np.diff(counts.indptr))
        transitions = sp.csr_array((shares.astype(np.float32), counts.indices, counts.indptr), shape=counts.shape)
        return cls(item_ids, transitions, config.decay, config.last)


def transition_counts(rows: NDArray[np.int32], lengths: NDArray[np.int64], size: int, window: int) -> sp.csr_array:
    """(size, size) sums of 1 / distance over the ordered pairs of different items at most `window` events apart.

    `rows` holds all sequences one after the other, `lengths` their lengths.
    """
    owner = np.repeat(np.arange(lengths.size, dtype=np.int32), lengths)
    counts = sp.csr_array((size, size), dtype=np.float64)
    for distance in range(1, min(window, rows.size - 1) + 1):
        pairs = (owner[distance:] == owner[:-distance]) & (rows[distance:] != rows[:-distance])
        before, after = rows[:-distance][pairs], rows[distance:][pairs]
        if before.size:
            weights = np.full(before.size, 1.0 / distance)
            counts = sp.csr_array(counts + sp.coo_array((weights, (before, after)), shape=(size, size)))
    return counts
