"""One list from several: weighted reciprocal rank fusion with a guaranteed head for every source.

Cormack, Clarke & Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual rank learning methods",
SIGIR 2009: score(d) = sum over sources of w / (k + rank(d)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Merged:
    """M distinct rows, best first."""

    rows: Rows
    """(M,)"""
    proposed_by: NDArray[np.uint32]
    """(M,) bit s is set when proposals[s] holds the row."""


def merge(
    proposals: Sequence[Rows], weights: Sequence[float], quotas: Sequence[int], n: int, rank_offset: float
) -> Merged:
    """The n best rows of S proposals, each distinct and best first.

    The first quotas[s] rows of proposals[s] are in whatever the others say (the quotas may add up to n at most); the
    rest goes by fused score, and so does the order. Ties go to the smaller row, so equal input gives equal output.
    """
    rows, place = np.unique(np.concatenate(proposals), return_inverse=True)
    if not rows.size:
        return Merged(rows, np.empty(0, np.uint32))
    ranks = [np.arange(1, proposal.size + 1) for proposal in proposals]
    votes = np.concatenate([weight / (rank_offset + rank) for weight, rank in zip(weights, ranks, strict=True)])
    heads = np.concatenate([rank <= quota for quota, rank in zip(quotas, ranks, strict=True)])
    # A row occurs once per proposal, so adding up distinct bits is the same as or-ing them.
    bits = np.concatenate([np.full(rank.size, 1 << source) for source, rank in enumerate(ranks)])
    fused = np.bincount(place, votes, rows.size)
    guaranteed = np.bincount(place, heads, rows.size) > 0
    chosen = np.lexsort((rows, -fused, ~guaranteed))[:n]
    order = chosen[np.lexsort((rows[chosen], -fused[chosen]))]
    return Merged(rows[order], np.bincount(place, bits, rows.size).astype(np.uint32)[order])
