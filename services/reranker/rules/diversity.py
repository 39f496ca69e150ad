"""Relevance against sameness: greedy selection by MMR or by a determinantal point process."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from services.reranker.pool import Places, Pool
from services.reranker.rules.outcome import Outcome

Method = Literal["mmr", "dpp"]

_LEAST_GAIN = 1e-10
"""Below this a candidate adds nothing that the selection does not have (Chen et al., algorithm 1)."""


def diversity(pool: Pool, order: Places, n: int, *, method: Method, trade_off: float, reach: int) -> Outcome:
    """The n to show chosen among the first `reach` of `order`; the rest of the order follows unchanged."""
    front = order[: max(reach, n)]
    select = mmr if method == "mmr" else dpp
    picks = front[select(pool.relevance(front), pool.similarity(front), n, trade_off)]
    displaced = order[:n][~np.isin(order[:n], picks)]
    rest = order[~np.isin(order, picks) & ~np.isin(order, displaced)]
    kept = np.concatenate([picks, rest])
    return Outcome(kept, {"too much like what stands above it": displaced} if displaced.size else {})


def mmr(relevance: NDArray[np.float64], similarity: NDArray[np.float64], n: int, trade_off: float) -> Places:
    """Maximal marginal relevance: argmax of trade_off * relevance - (1 - trade_off) * likeness to the nearest pick.

    Carbonell & Goldstein, SIGIR 1998. (P,) relevance and (P, P) similarity give min(n, P) places; ties go to the
    smaller place. trade_off 1 is the order of relevance.
    """
    nearest = np.zeros(relevance.size)
    left = np.ones(relevance.size, np.bool_)
    picks: list[int] = []
    for _ in range(min(n, relevance.size)):
        gains = np.where(left, trade_off * relevance - (1 - trade_off) * nearest, -np.inf)
        pick = int(np.argmax(gains))
        picks.append(pick)
        left[pick] = False
        nearest = np.maximum(nearest, similarity[pick])
    return np.array(picks, np.int64)


def dpp(relevance: NDArray[np.float64], similarity: NDArray[np.float64], n: int, trade_off: float) -> Places:
    """Greedy MAP inference of a determinantal point process, O(n^2 P) by incremental Cholesky.

    Chen, Zhang & Zhou, "Fast Greedy MAP Inference for Determinantal Point Process", NeurIPS 2018, arXiv 1709.05135:
    L = diag(q) S diag(q), q = exp(alpha * relevance), alpha = trade_off / (2 (1 - trade_off)) (section 4). When no
    candidate adds volume any more, the rest goes by relevance. trade_off 1 is the order of relevance.
    """
    size, count = relevance.size, min(n, relevance.size)
    if trade_off >= 1:
        return np.argsort(-relevance, kind="stable")[:count]
    quality = np.exp(trade_off / (2 * (1 - trade_off)) * (relevance - relevance.max(initial=0)))
    kernel = quality[:, None] * similarity * quality[None, :]
    cholesky = np.zeros((count, size))
    volumes = np.diag(kernel).copy()
    floors = _LEAST_GAIN * volumes
    picks: list[int] = []
    while len(picks) < count:
        pick = int(np.argmax(volumes))
        if volumes[pick] <= floors[pick]:
            break
        row = (kernel[pick] - cholesky[: len(picks), pick] @ cholesky[: len(picks)]) / np.sqrt(volumes[pick])
        cholesky[len(picks)] = row
        volumes = volumes - row**2
        picks.append(pick)
        volumes[picks] = -np.inf
    by_relevance = np.argsort(-relevance, kind="stable")
    rest = by_relevance[~np.isin(by_relevance, picks)]
    return np.concatenate([np.array(picks, np.int64), rest[: count - len(picks)]])
