"""What recommended lists are like, whoever they please. U lists of K places in a catalog of I items, -1 where one ends.

coverage    share of the catalog on at least one list                      Ge, Delgado-Battenfeld & Jannach, RecSys 2010
novelty     mean self-information log2(users / users of the item), bits    Zhou et al., PNAS 2010
diversity   mean distance, 1 - cosine, between the items of a list         Ziegler et al., WWW 2005
gini        0 when all items are shown alike, 1 when one takes all         Fleder & Hosanagar, Management Science 2009
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.metrics import Floats, Interval

Lists = NDArray[np.int64] | NDArray[np.int32]


def exposure(lists: Lists, items: int) -> NDArray[np.int64]:
    """(I,) how many lists each item is on."""
    return np.bincount(lists[lists >= 0], minlength=items)


def coverage(lists: Lists, items: int) -> float:
    """Share of the I items that are on a list."""
    return float(np.count_nonzero(exposure(lists, items))) / items


def gini(shown: NDArray[np.integer] | Floats) -> float:
    """Gini index of (I,) exposures, those of 0 included. NaN when nothing was shown."""
    rising = np.sort(np.asarray(shown, np.float64))
    total = float(rising.sum())
    if not total:
        return float("nan")
    return float((2 * np.arange(1, rising.size + 1) - rising.size - 1) @ rising) / (rising.size * total)


def novelty(lists: Lists, item_users: NDArray[np.integer], users: int) -> NDArray[np.float64]:
    """(U,) bits per list; `item_users` (I,) counts who turned to each item, and nobody counts as one."""
    bits = np.log2(users / np.maximum(item_users, 1))
    there = lists >= 0
    lengths = there.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(there, bits[lists], 0.0).sum(axis=1) / np.where(lengths, lengths, np.nan))


def diversity(lists: Lists, features: Floats) -> NDArray[np.float64]:
    """(U,) by (I, G) features such as genres; an item without any is like no other. NaN for lists of fewer than two."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    units = np.asarray(features, np.float64) / np.where(lengths, lengths, 1.0)
    there = lists >= 0
    vectors = np.where(there[..., None], units[lists], 0.0)
    total = vectors.sum(axis=1)
    # All ordered pairs are the square of the sum without the squares.
    alike = (total * total).sum(axis=1) - (vectors * vectors).sum(axis=(1, 2))
    count = there.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(count > 1, 1.0 - alike / (count * (count - 1)), np.nan))


def jackknife(of: Callable[[Lists], float], lists: Lists, groups: int = 50, seed: int = 0) -> Interval:
    """A figure of all lists together with its 95 % interval, by leaving out one random group of users at a time.

    A bootstrap would show every drawn list twice or not at all, and so see less coverage than there is
    (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, section 11.5).
    """
    value = of(lists)
    groups = min(groups, len(lists))
    if groups < 2:
        return Interval(value, value, value)
    group = np.random.default_rng(seed).permutation(len(lists)) % groups
    without = np.array([of(lists[group != left_out]) for left_out in range(groups)])
    error = float(np.sqrt((groups - 1) / groups * ((without - without.mean()) ** 2).sum()))
    return Interval(value, value - 1.96 * error, value + 1.96 * error)
