"""Random numbers that belong to what they decide: the same for one user, round and item in every arm.

Common random numbers (Law, Simulation Modeling and Analysis, ch. 11): two arms that show a user the same item in the
same round get the same reaction, so that what remains between them is what the arms did.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EXAMINED, SELECTED, SATISFIED = 1, 2, 3
"""What a number decides; the purposes are independent of each other."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def uniform(purpose: int, seed: int, user: int, turn: int, items: NDArray[np.uint64]) -> NDArray[np.float64]:
    """(N,) numbers in [0, 1), one per item: counter-based, so that neither order nor company matters."""
    key = np.zeros((), np.uint64)
    for part in (purpose, seed, user, turn):
        key = _mixed(key + np.uint64(part))
    return np.asarray((_mixed(key + items) >> np.uint64(11)) / float(1 << 53), np.float64)


def _mixed(value: NDArray[np.uint64] | np.uint64) -> NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        state = np.asarray(value, np.uint64) + _GOLDEN
        state = (state ^ (state >> np.uint64(30))) * _FIRST
        state = (state ^ (state >> np.uint64(27))) * _SECOND
        return np.asarray(state ^ (state >> np.uint64(31)), np.uint64)
