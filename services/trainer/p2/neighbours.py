"""What the user's ratings of similar items say: item-based collaborative filtering on what ratings say beyond biases.

Sarwar et al., "Item-based Collaborative Filtering Recommendation Algorithms" (WWW 2001), with shrunk similarities.
Similarities are of a slice's past; the ratings that they weigh are those of strictly earlier seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.trainer.p2.log import Floats, RatingLog
from services.trainer.p2.means import Columns

NEAREST = 40
"""Rated items that speak for another one."""
_SHRINK = 20.0
"""Sum of squares that a similarity must stand against."""
_PRIOR = 0.5
"""Weight of "nothing is said" in each mean."""


def neighbour_columns(log: RatingLog, beyond: Floats, cuts: Sequence[int], nearest: int = NEAREST) -> Columns:
    """(E,) columns; `beyond` (E,) is what each rating says beyond the biases. NaN before the first cut."""
    said, weight = np.full((2, len(log)), np.nan, np.float32)
    order = np.argsort(log.users, kind="stable")
    events = np.split(order, np.cumsum(np.bincount(log.users, minlength=log.user_ids.size))[:-1])
    for begin, end in zip(cuts, [*cuts[1:], len(log)], strict=True):
        similar = similarities(log, beyond, begin)
        for mine in events:
            first, last = np.searchsorted(mine, (begin, end))
            if first < last:
                aims, past = mine[first:last], mine[:last]
                weights = similar[np.ix_(log.items[aims], log.items[past])]
                weights[log.seconds[past] >= log.seconds[aims, None]] = 0.0
                said[aims], weight[aims] = _mean(weights, beyond[past], nearest)
    return {"neighbours_say": said, "neighbours_weight": weight}


def similarities(log: RatingLog, beyond: Floats, end: int) -> Floats:
    """(I, I) shrunk cosines of the items' columns of `beyond` over the events before `end`; 0 with itself."""
    table = np.zeros((log.user_ids.size, log.item_ids.size), np.float32)
    table[log.users[:end], log.items[:end]] = beyond[:end]
    products = table.T @ table
    sizes = np.sqrt(np.diag(products))
    products /= np.outer(sizes, sizes) + np.float32(_SHRINK)
    np.fill_diagonal(products, 0.0)
    return products


def _mean(weights: NDArray[np.float32], values: Floats, nearest: int) -> tuple[Floats, Floats]:
    """Of (P,) values under the largest of (A, P) weights, and their sum; both (A,)."""
    sizes = np.abs(weights)
    if sizes.shape[1] > nearest:
        least = np.partition(sizes, -nearest, axis=1)[:, -nearest]
        weights = np.where(sizes >= least[:, None], weights, np.float32(0))
        sizes = np.abs(weights)
    total = sizes.sum(axis=1)
    return weights @ values / (total + np.float32(_PRIOR)), total
