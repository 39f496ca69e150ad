"""Peers that only count: what is popular, and what goes together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from models.covisitation import CoVisitation
from services.trainer.data.interactions import Interactions
from services.trainer.p1 import columns_of
from services.trainer.peers.task import matrix

NEIGHBOURS = 50
"""Items kept beside each one by item-kNN, chosen on the validation target of MovieLens-100K."""


@dataclass(frozen=True, slots=True)
class PopularityPeer:
    """The same list for everybody."""

    counts: NDArray[np.float32]
    """(I,) events of each item."""

    @classmethod
    def fit(cls, history: Interactions) -> Self:
        """Counts the events of each item."""
        return cls(np.asarray(matrix(history).sum(axis=0), np.float32).ravel())

    def scores(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, I) the counts, once per user."""
        return np.tile(self.counts, (users.size, 1))


@dataclass(frozen=True, slots=True)
class NeighbourPeer:
    """Item-kNN with cosines (Sarwar et al., WWW 2001; Deshpande & Karypis, TOIS 2004)."""

    rows: sp.csr_array
    """(U, I) what each user turned to."""
    weights: sp.csr_array
    """(I, I) cosines, the nearest NEIGHBOURS of each item."""

    @classmethod
    def fit(cls, history: Interactions) -> Self:
        """Cosines of the items' columns."""
        rows = matrix(history)
        return cls(rows, _nearest(cosines(rows), NEIGHBOURS))

    def scores(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, I) sums of the cosines from the items of each user."""
        return np.asarray((self.rows[users] @ self.weights).toarray(), np.float32)


@dataclass(frozen=True, slots=True)
class CoVisitationPeer:
    """The retrieval source, alone."""

    model: CoVisitation
    columns: NDArray[np.int64]
    """Column of each of the model's items in the catalog."""
    history: Interactions

    @classmethod
    def fit(cls, history: Interactions) -> Self:
        """Counts ordered pairs."""
        model = CoVisitation.fit(history.sequences)
        return cls(model, columns_of(history.items["item_id"].to_numpy(), model.item_ids), history)

    def scores(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, I) scores; 0 for items nobody turned to."""
        rows = np.zeros((users.size, self.history.items.height), np.float32)
        sequences = self.history.sequences
        for row, user in enumerate(users.tolist()):
            rows[row, self.columns] = self.model.scores(sequences[user])
        return rows


def cosines(rows: sp.csr_array) -> sp.csr_array:
    """(I, I) cosines between the columns of a (U, I) matrix of ones, with a zero diagonal."""
    together = sp.csr_array(rows.T @ rows)
    norms = np.sqrt(np.maximum(together.diagonal(), 1.0))
    owners = np.repeat(np.arange(norms.size), np.diff(together.indptr))
    values = together.data / (norms[owners] * norms[together.indices])
    values[owners == together.indices] = 0.0
    return sp.csr_array((values.astype(np.float32), together.indices, together.indptr), shape=together.shape)


def _nearest(weights: sp.csr_array, kept: int) -> sp.csr_array:
    """The largest `kept` values of each row."""
    owners = np.repeat(np.arange(weights.shape[0]), np.diff(weights.indptr))
    order = np.lexsort((-weights.data, owners))
    place = np.arange(order.size) - weights.indptr[owners[order]]
    chosen = order[place < kept]
    cells = (weights.data[chosen], (owners[chosen], weights.indices[chosen]))
    return sp.csr_array(sp.coo_array(cells, shape=weights.shape))
