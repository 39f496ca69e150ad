"""Ordered co-visitation: what people turned to soon after an item.

    C[i, j] = sum over every later j within `window` events of i of 1 / distance,   T[i, j] = C[i, j] / events(i)
    score(j) = sum over the newest `last` items h_0, h_1, ... of decay^k T[h_k, j]

An item-to-item model in the manner of Linden et al., "Amazon.com recommendations" (2003), that keeps the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

_FILE = "transitions.npz"


@dataclass(frozen=True, slots=True)
class CoVisitationConfig:
    """Hyper-parameters."""

    window: int = 20
    """Longest distance, in events, at which an item counts as following another."""
    decay: float = 0.6
    """Weight of a history item against the next newer one."""
    last: int = 20
    """Newest history items that are looked at."""


class CoVisitation:
    """Transitions between I items; loaded once, read by everyone."""

    item_ids: NDArray[np.uint64]
    """(I,) sorted."""

    def __init__(self, item_ids: NDArray[np.uint64], transitions: sp.csr_array, config: CoVisitationConfig) -> None:
        self.item_ids = item_ids
        self._transitions = transitions
        self._config = config

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
        return cls(item_ids, transitions, config)

    def save(self, folder: Path) -> None:
        """Writes the model's file into an existing folder."""
        matrix = self._transitions
        np.savez(
            folder / _FILE,
            item_ids=self.item_ids,
            data=matrix.data,
            indices=matrix.indices.astype(np.int32),
            indptr=matrix.indptr.astype(np.int64),
            config=np.array([self._config.window, self._config.decay, self._config.last], np.float64),
        )

    @classmethod
    def load(cls, folder: Path) -> CoVisitation:
        """The model that `save` wrote."""
        with np.load(folder / _FILE, allow_pickle=False) as file:
            item_ids = file["item_ids"]
            shape = (item_ids.size, item_ids.size)
            matrix = sp.csr_array((file["data"], file["indices"], file["indptr"]), shape=shape)
            window, decay, last = file["config"].tolist()
        return cls(item_ids, matrix, CoVisitationConfig(int(window), decay, int(last)))

    def scores(self, history: NDArray[np.uint64]) -> tuple[NDArray[np.float32], NDArray[np.uint64]]:
        """(I,) scores after a history that runs from oldest to newest, and (I,) the history item that contributed
        most to each, 0 where none did. Items the model does not know keep their place but add nothing."""
        scores = np.zeros(self.item_ids.size, np.float32)
        highest = np.zeros(self.item_ids.size, np.float32)
        because = np.zeros(self.item_ids.size, np.uint64)
        newest = history[::-1][: self._config.last]
        for place, item in enumerate(newest.tolist()):
            followers, values = self._row(item)
            values = values * np.float32(self._config.decay**place)
            scores[followers] += values
            leads = values > highest[followers]
            highest[followers[leads]] = values[leads]
            because[followers[leads]] = item
        return scores, because

    def transitions(self, item_id: int) -> NDArray[np.float32]:
        """(I,) scores of what follows one item; zeros for an item the model does not know."""
        scores = np.zeros(self.item_ids.size, np.float32)
        followers, values = self._row(item_id)
        scores[followers] = values
        return scores

    def _row(self, item_id: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        row = int(np.searchsorted(self.item_ids, np.uint64(item_id)))
        if row == self.item_ids.size or int(self.item_ids[row]) != item_id:
            return np.empty(0, np.int32), np.empty(0, np.float32)
        matrix = self._transitions
        part = slice(int(matrix.indptr[row]), int(matrix.indptr[row + 1]))
        return matrix.indices[part], matrix.data[part]


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
