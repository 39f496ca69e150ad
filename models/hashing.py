"""Open vocabularies: a value that was never seen still gets an index, and the table of embeddings keeps its size.

Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (ICML 2009).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 0xFFFFFFFFFFFFFFFF


def buckets(values: NDArray[np.integer], count: int, salt: int = 0) -> NDArray[np.int64]:
    """(N,) indices 1..count of (N,) integers; equal values have equal indices, in every process and release.

    Index 0 stays the unknown's. Another `salt` gives hashes independent of these: give every column its own.
    """
    if count < 1:
        raise ValueError(f"A hashed vocabulary needs at least one bucket, got {count}.")
    mixed = _mixed(values.astype(np.uint64) + np.uint64((salt + 1) * _GOLDEN & _MASK))
    return (mixed % np.uint64(count)).astype(np.int64) + 1


def crossed(*columns: NDArray[np.integer]) -> NDArray[np.int64]:
    """(N,) one integer for each combination of the columns' values, to be hashed into buckets; order matters."""
    found = np.zeros(columns[0].size, np.uint64)
    for column in columns:
        found = _mixed((found ^ _mixed(column.astype(np.uint64) + np.uint64(_GOLDEN))) + np.uint64(_GOLDEN))
    return found.view(np.int64)


def _mixed(words: Words) -> Words:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): every bit depends on every other."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
