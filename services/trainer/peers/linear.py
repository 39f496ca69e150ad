"""EASE, plain and with a history that fades."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from models.ease import Ease, EaseConfig
from services.trainer.data.interactions import Interactions
from services.trainer.p1 import columns_of
from services.trainer.peers.task import matrix

EASE_L2 = 300.0
"""Ridge of EASE, chosen on the validation target."""


@dataclass(frozen=True, slots=True)
class EasePeer:
    """EASE: a linear autoencoder in closed form (Steck, WWW'19, equation 8)."""

    rows: sp.csr_array
    """(U, I) what each user turned to."""
    weights: NDArray[np.float32]
    """(I, I) with a zero diagonal."""

    @classmethod
    def fit(cls, history: Interactions) -> Self:
        """B = I - P / diag(P), with P the inverse of the ridged Gram matrix."""
        rows = matrix(history)
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
class FadingEasePeer:
    """The same weights, read over the newest items with a decay: the retrieval source with nothing cut off."""

    model: Ease
    columns: NDArray[np.int64]
    """Column of each of the model's items in the catalog."""
    history: Interactions

    @classmethod
    def fit(cls, history: Interactions) -> Self:
        """As the source is fitted, all weights of all items kept."""
        items = history.items.height
        model = Ease.fit(history.sequences, EaseConfig(l2=EASE_L2, items=items, kept=items))
        return cls(model, columns_of(history.items["item_id"].to_numpy(), model.item_ids), history)

    def scores(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, I) decayed sums; lowest for items nobody turned to."""
        rows = np.full((users.size, self.history.items.height), np.finfo(np.float32).min, np.float32)
        sequences = self.history.sequences
        for row, user in enumerate(users.tolist()):
            rows[row, self.columns] = self.model.scores(sequences[user])
        return rows
