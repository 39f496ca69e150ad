"""Peers that give users and items a vector each, fitted by implicit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from services.trainer.peers.task import Task, matrix

ALS_FACTORS, ALS_L2, ALS_ALPHA, ALS_ITERATIONS = 128, 5.0, 1.0, 15
"""iALS, chosen on the validation target."""
BPR_FACTORS, BPR_RATE, BPR_L2, BPR_ITERATIONS = 128, 0.02, 0.01, 100
"""BPR-MF, chosen on the validation target of MovieLens-100K among 18."""


@dataclass(frozen=True, slots=True)
class FactorPeer:
    """Dot products of users and items."""

    users: NDArray[np.float32]
    """(U, F)"""
    items: NDArray[np.float32]
    """(I, F)"""

    @classmethod
    def fit_als(cls, task: Task) -> Self:
        """iALS: least squares over all cells, in turns (Hu, Koren & Volinsky, ICDM 2008)."""
        # Its threads and those of BLAS would fight over the cores.
        with threadpool_limits(limits=1, user_api="blas"):
            model = AlternatingLeastSquares(
                ALS_FACTORS, ALS_L2, ALS_ALPHA, iterations=ALS_ITERATIONS, random_state=task.seed
            )
            model.fit(sp.csr_matrix(matrix(task.history)), show_progress=False)
        return cls(model.user_factors, model.item_factors)

    @classmethod
    def fit_bpr(cls, task: Task) -> Self:
        """BPR-MF: what a user turned to before what they did not (Rendle et al., UAI 2009)."""
        # Several threads race for the factors: only one gives the same ones again.
        model = BayesianPersonalizedRanking(
            BPR_FACTORS, BPR_RATE, BPR_L2, iterations=BPR_ITERATIONS, num_threads=1, random_state=task.seed
        )
        model.fit(sp.csr_matrix(matrix(task.history)), show_progress=False)
        return cls(model.user_factors, model.item_factors)

    def scores(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        """(B, I) dot products."""
        return np.asarray(self.users[users] @ self.items.T)
