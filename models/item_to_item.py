"""Item-to-item models: what each item says for every other, added up over the newest items of a history.

score(j) = sum over the newest `last` items h_0, h_1, ... of decay^k W[h_k, j]
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

_FILE = "transitions.npz"


class ItemToItem:
    """Weights between I items; loaded once, read by everyone."""

    item_ids: NDArray[np.uint64]
    """(I,) sorted."""

    def __init__(self, item_ids: NDArray[np.uint64], weights: sp.csr_array, decay: float, last: int) -> None:
        self.item_ids = item_ids
        self._weights, self._decay, self._last = weights, decay, last

    def save(self, folder: Path) -> None:
        """Writes the model's file into an existing folder."""
        np.savez(
            folder / _FILE,
            item_ids=self.item_ids,
            data=self._weights.data,
            indices=self._weights.indices.astype(np.int32),
            indptr=self._weights.indptr.astype(np.int64),
            config=np.array([self._decay, self._last], np.float64),
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model that `save` wrote."""
        with np.load(folder / _FILE, allow_pickle=False) as file:
            item_ids = file["item_ids"]
            shape = (item_ids.size, item_ids.size)
            weights = sp.csr_array((file["data"], file["indices"], file["indptr"]), shape=shape)
            decay, last = file["config"].tolist()
        return cls(item_ids, weights, decay, int(last))

    def scores(self, history: NDArray[np.uint64]) -> NDArray[np.float32]:
        """(I,) scores after a history that runs from oldest to newest. Items of it that the model does not know keep
        their place but add nothing."""
        others, values, _ = self._said(history)
        return np.bincount(others, values, self.item_ids.size).astype(np.float32)

    def explained(self, history: NDArray[np.uint64]) -> tuple[NDArray[np.float32], NDArray[np.uint64]]:
        """The same, and (I,) the history item that contributed most to each, the newest of equals; 0 where none did."""
        others, values, by = self._said(history)
        highest = np.zeros(self.item_ids.size, np.float32)
        np.maximum.at(highest, others, values)
        leads = np.flatnonzero(values == highest[others])[::-1]
        because = np.zeros(self.item_ids.size, np.uint64)
        because[others[leads]] = by[leads]  # the last one written stays: the newest
        return np.bincount(others, values, self.item_ids.size).astype(np.float32), because

    def _said(self, history: NDArray[np.uint64]) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.uint64]]:
        """(W,) item rows, (W,) what is added to their scores, and (W,) the history items that say so, newest first."""
        newest = history[::-1][: self._last]
        rows = np.searchsorted(self.item_ids, newest)
        inside = np.flatnonzero(rows < self.item_ids.size)
        places = inside[self.item_ids[rows[inside]] == newest[inside]]
        starts, ends = self._weights.indptr[rows[places]], self._weights.indptr[rows[places] + 1]
        parts = [slice(*part) for part in zip(starts.tolist(), ends.tolist(), strict=True)] or [slice(0)]
        others = np.concatenate([self._weights.indices[part] for part in parts])
        values = np.concatenate([self._weights.data[part] for part in parts])
        sizes = ends - starts
        decays = (self._decay**places).astype(np.float32)
        return others, values * np.repeat(decays, sizes), np.repeat(newest[places], sizes)

    def transitions(self, item_id: int) -> NDArray[np.float32]:
        """(I,) what one item says for the others; zeros for an item the model does not know."""
        scores = np.zeros(self.item_ids.size, np.float32)
        others, values, _ = self._said(np.array([item_id], np.uint64))
        scores[others] = values
        return scores
