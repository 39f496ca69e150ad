"""The peers every claim is measured against, fitted on one split and scored by one protocol.

ranks = peer_ranks(interactions, "ease")     # interactions whole: the last event of each user is the target
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from models.covisitation import CoVisitation
from services.trainer.data.interactions import Interactions
from services.trainer.p1 import Scorer, TargetRanks, columns_of, ranks_of

EASE_L2 = 300.0
"""Ridge of EASE, chosen on the validation target."""
EASE_ITEMS = 20_000
"""Largest catalog that EASE is fitted on: its matrix has a cell for every pair of items."""
ALS_FACTORS, ALS_L2, ALS_ALPHA, ALS_ITERATIONS = 128, 5.0, 1.0, 15
"""iALS, chosen on the validation target."""


def peer_ranks(interactions: Interactions, name: str) -> TargetRanks:
    """(T,) rank of each user's last event by the peer `name` of PEERS, fitted on everything before it."""
    return ranks_of(PEERS[name](interactions.leave_last(1)), interactions)


@dataclass(frozen=True, slots=True)
class PopularityPeer:
    """The same list for everybody."""

    counts: NDArray[np.float32]
    """(I,) events of each item."""

    @classmethod
    def fit(cls, history: Interactions) -> PopularityPeer:
        """Counts the events of each item."""
        return cls(np.asarray(_matrix(history).sum(axis=0), np.float32).ravel())

    def scores(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, I) the counts, once per user."""
        return np.tile(self.counts, (users.size, 1))


@dataclass(frozen=True, slots=True)
class FactorPeer:
    """iALS: implicit-feedback matrix factorisation (Hu, Koren and Volinsky, ICDM'08)."""

    users: NDArray[np.float32]
    """(U, F)"""
    items: NDArray[np.float32]
    """(I, F)"""

    @classmethod
    def fit(cls, history: Interactions) -> FactorPeer:
        """Alternating least squares over the binary matrix of users and items."""
        # Its threads and those of BLAS would fight over the cores.
        with threadpool_limits(limits=1, user_api="blas"):
            model = AlternatingLeastSquares(ALS_FACTORS, ALS_L2, ALS_ALPHA, iterations=ALS_ITERATIONS, random_state=0)
            model.fit(sp.csr_matrix(_matrix(history)), show_progress=False)
        return cls(model.user_factors, model.item_factors)

    def scores(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, I) dot products."""
        return np.asarray(self.users[users] @ self.items.T)


@dataclass(frozen=True, slots=True)
class EasePeer:
    """EASE: a linear autoencoder in closed form (Steck, WWW'19, equation 8)."""

    rows: sp.csr_array
    """(U, I) what each user turned to."""
    weights: NDArray[np.float32]
    """(I, I) with a zero diagonal."""

    @classmethod
    def fit(cls, history: Interactions) -> EasePeer:
        """B = I - P / diag(P), with P the inverse of the ridged Gram matrix."""
        rows = _matrix(history)
        gram = (rows.T @ rows).toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += EASE_L2
        inverse = np.linalg.inv(gram)
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0.0)
        return cls(rows, weights.astype(np.float32))

    def scores(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, I) sums of the weights from the items of each user."""
        return np.asarray(self.rows[users] @ self.weights)


@dataclass(frozen=True, slots=True)
class CoVisitationPeer:
    """The retrieval source, alone."""

    model: CoVisitation
    columns: NDArray[np.int64]
    """Column of each of the model's items in the catalog."""
    history: Interactions

    @classmethod
    def fit(cls, history: Interactions) -> CoVisitationPeer:
        """Counts ordered pairs."""
        model = CoVisitation.fit(history.sequences)
        return cls(model, columns_of(history.items["item_id"].to_numpy(), model.item_ids), history)

    def scores(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, I) scores; 0 for items nobody turned to."""
        rows = np.zeros((users.size, self.history.items.height), np.float32)
        sequences = self.history.sequences
        for row, user in enumerate(users.tolist()):
            rows[row, self.columns] = self.model.scores(sequences[user])[0]
        return rows


PEERS: Mapping[str, Callable[[Interactions], Scorer]] = {
    "popularity": PopularityPeer.fit,
    "ials": FactorPeer.fit,
    "ease": EasePeer.fit,
    "co_visitation": CoVisitationPeer.fit,
}
"""How each peer is fitted on histories."""


def peers_of(interactions: Interactions) -> list[str]:
    """Names of the peers that a catalog of this size allows."""
    return [name for name in PEERS if name != "ease" or interactions.items.height <= EASE_ITEMS]


def _matrix(history: Interactions) -> sp.csr_array:
    """(U, I) ones where a user turned to an item of the catalog."""
    columns = columns_of(history.items["item_id"].to_numpy(), history.item_ids)
    shape = (len(history), history.items.height)
    return sp.csr_array((np.ones(columns.size, np.float32), columns, history.offsets), shape=shape)
