"""Scores within slates, many slates at once; ties are given their expected place.

Items of equal score may not keep the order they were shown in: it is the champion's, and a model that scores nothing
apart would inherit it. McSherry & Najork, "Computing Information Retrieval Performance Measures Efficiently in the
Presence of Tied Scores", ECIR 2008.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Sizes = NDArray[np.int64]


class Places(NamedTuple):
    """Where M items stand in their slates, best score first."""

    place: Floats
    """(M,) 1-based; equals share their mean."""
    discount: Floats
    """(M,) 1 / log2(1 + place) within the first k places and 0 below; equals share their mean."""


def places(scores: Floats, group_sizes: Sizes, k: int = 10) -> Places:
    """Of (M,) scores in slates of (Q,) sizes that stand one after the other."""
    slate = slates_of(group_sizes)
    order = np.lexsort((-scores, slate))
    ranked, owner = scores[order], slate[order]
    place = np.arange(1, scores.size + 1) - (np.cumsum(group_sizes) - group_sizes)[owner]
    discount = np.where(place <= k, 1 / np.log2(1.0 + place), 0.0)
    fresh = np.ones(scores.size, np.bool_)
    fresh[1:] = (ranked[1:] != ranked[:-1]) | (owner[1:] != owner[:-1])
    tie = np.cumsum(fresh) - 1
    shared = [np.empty(scores.size), np.empty(scores.size)]
    for out, values in zip(shared, (place, discount), strict=True):
        out[order] = (np.bincount(tie, values) / np.bincount(tie))[tie]
    return Places(*shared)


def ndcg(scores: Floats, gains: Floats, group_sizes: Sizes, k: int = 10) -> Floats:
    """(Q,) expected NDCG@k of each slate, NaN where it holds no gain. Jaervelin & Kekaelaeinen, TOIS 2002."""
    slate = slates_of(group_sizes)
    found = np.bincount(slate, gains * places(scores, group_sizes, k).discount, group_sizes.size)
    ideal = np.bincount(slate, gains * places(gains, group_sizes, k).discount, group_sizes.size)
    out = np.full(group_sizes.size, np.nan)
    np.divide(found, ideal, out=out, where=ideal > 0)
    return out


def rank_correlation(ours: Floats, theirs: Floats, group_sizes: Sizes) -> Floats:
    """(Q,) Spearman's correlation within each slate.

    0 where only one of the two scores all items of a slate alike, NaN where both do.
    """
    slate = slates_of(group_sizes)
    a, b = (_centred(places(scores, group_sizes).place, slate, group_sizes) for scores in (ours, theirs))
    spread_a, spread_b = (np.bincount(slate, x * x, group_sizes.size) for x in (a, b))
    both = np.bincount(slate, a * b, group_sizes.size)
    found = np.zeros(group_sizes.size)
    np.divide(both, np.sqrt(spread_a * spread_b), out=found, where=spread_a * spread_b > 0)
    found[(spread_a == 0) & (spread_b == 0)] = np.nan
    return found


def slates_of(group_sizes: Sizes) -> NDArray[np.int64]:
    """(M,) the slate of each row."""
    return np.repeat(np.arange(group_sizes.size), group_sizes)


def _centred(values: Floats, slate: NDArray[np.int64], group_sizes: Sizes) -> Floats:
    means = np.bincount(slate, values, group_sizes.size) / np.maximum(group_sizes, 1)
    centred: Floats = values - means[slate]
    return centred
