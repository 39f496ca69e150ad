"""Sums over the earlier events of a key, for the whole log in a handful of sorted cumulative sums."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.trainer.p2.log import Floats, Keys

PRIOR_WEIGHT = 5.0
"""Events that "no opinion" counts for in every smoothed mean."""


class Earlier:
    """Sums over the events of the same key in strictly earlier seconds. Keys and seconds are (E,)."""

    def __init__(self, keys: Keys, seconds: Keys) -> None:
        self._order = np.lexsort((seconds, keys))
        self._seconds = seconds[self._order]
        sorted_keys = keys[self._order]
        new_key = np.ones(keys.size, bool)
        new_key[1:] = sorted_keys[1:] != sorted_keys[:-1]
        new_second = new_key.copy()
        new_second[1:] |= self._seconds[1:] != self._seconds[:-1]
        places = np.arange(keys.size)
        self._from = np.maximum.accumulate(np.where(new_key, places, 0))
        """(E,) in sorted order: first event of the key, which is where its past begins."""
        self._to = np.maximum.accumulate(np.where(new_second, places, 0))
        """(E,) first event of the second, which is where its past ends."""

    def sums(self, values: Floats, newest: int | None = None) -> Floats:
        """(E, K) sums of (E, K) values, over the `newest` earlier events only when given."""
        totals = np.zeros((values.shape[0] + 1, values.shape[1]))
        np.cumsum(values[self._order], axis=0, out=totals[1:], dtype=np.float64)
        start = self._from if newest is None else np.maximum(self._from, self._to - newest)
        return self._unsorted(totals[self._to] - totals[start])

    def since(self, newest: int = 1) -> Floats:
        """(E,) seconds since the key's last earlier event, or since its `newest`-th last; NaN where there is none."""
        then = self._to - newest
        seconds = self._seconds - self._seconds[np.maximum(then, 0)]
        return self._unsorted(np.where(then >= self._from, seconds, np.nan))

    def last_second(self) -> Floats:
        """(E,) how many events the key had in the last earlier second that had any."""
        begin = self._to[np.maximum(self._to - 1, 0)]
        return self._unsorted(np.where(self._to > self._from, self._to - begin, 0).astype(np.float64))

    def _unsorted(self, values: NDArray[np.float64]) -> Floats:
        out = np.empty(values.shape, np.float32)
        out[self._order] = values
        return out


def smoothed(total: Floats, count: Floats, prior: float) -> Floats:
    """Mean of `count` values, drawn to the prior."""
    return (total + np.float32(PRIOR_WEIGHT * prior)) / (count + np.float32(PRIOR_WEIGHT))


def surplus(sums: Floats) -> Floats:
    """Smoothed mean of columns (count, total), drawn to zero."""
    return smoothed(sums[:, 1], sums[:, 0], 0.0)


def spread(sums: Floats) -> Floats:
    """Standard deviation of columns (count, total, squares); NaN below two events."""
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = sums[:, 2] / sums[:, 0] - (sums[:, 1] / sums[:, 0]) ** 2
    return np.where(sums[:, 0] >= 2, np.sqrt(np.maximum(variance, 0)), np.float32(np.nan))
