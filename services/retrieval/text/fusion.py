"""One ranking from two: reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009) with its k of 60."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.retrieval.merge import merge

K = 60.0


def reciprocal_rank(
    rankings: Sequence[NDArray[np.uint64]], n: int, weights: Sequence[float] | None = None
) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    """The n best ids and their scores, sums of weight / (60 + rank), from rankings of distinct ids below 2**63.

    Every weight is 1 unless told otherwise.
    """
    weights = weights or [1.0] * len(rankings)
    rows = [ranking.astype(np.int64) for ranking in rankings]
    merged = merge(rows, weights, [0] * len(rows), n, K).rows
    scores = np.zeros(merged.size, np.float32)
    for ranking, weight in zip(rows, weights, strict=True):
        scores += _votes(ranking, weight, merged)
    return merged.astype(np.uint64), scores


def _votes(ranking: NDArray[np.int64], weight: float, ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """(K,) what one ranking gives to each of the ids; 0 where it does not have it."""
    if not ranking.size:
        return np.zeros(ids.size, np.float32)
    order = np.argsort(ranking)
    places = order[np.minimum(np.searchsorted(ranking, ids, sorter=order), ranking.size - 1)]
    votes: NDArray[np.float32] = np.where(ranking[places] == ids, weight / (K + 1 + places), 0.0).astype(np.float32)
    return votes
