"""Item vectors from counts alone: where a tower's item table starts, which saves most of its epochs."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import svds

_CONTEXT_POWER = 0.75
"""Flattens the distribution of contexts, so that rare items do not get the highest associations."""


def ppmi_factors(
    offsets: NDArray[np.int64], items: NDArray[np.int64], size: int, width: int, window: int, seed: int
) -> NDArray[np.float32]:
    """(size, width) vectors of unit variance whose products approximate positive pointwise mutual information.

    `items` are rows of the catalog and `offsets` delimit each user's, oldest first; two within `window` events count
    1 / distance. Levy, Goldberg and Dagan, "Improving Distributional Similarity with Lessons Learned from Word
    Embeddings" (TACL 2015), sections 2.1, 3.2 and 3.3 (eigenvalue weight .5). Items without company start as noise.
    """
    random = np.random.default_rng(seed)
    factors = random.normal(scale=0.1, size=(size, width))
    ppmi = _ppmi(pair_counts(offsets, items, size, window))
    rank = min(width, size - 1)
    if ppmi.nnz and rank > 0:
        left, singular, _ = svds(ppmi, k=rank, v0=random.normal(size=size))
        scaled = left * np.sqrt(np.maximum(singular, 0.0))
        factors[:, :rank] += scaled / max(float(scaled.std()), 1e-9)
    return factors.astype(np.float32)


def pair_counts(offsets: NDArray[np.int64], items: NDArray[np.int64], size: int, window: int) -> sp.csr_array:
    """(size, size) symmetric sums of 1 / distance over pairs of events of one user at most `window` apart."""
    owners = np.repeat(np.arange(offsets.size - 1, dtype=np.int32), np.diff(offsets))
    rows = items.astype(np.int32)
    counts = sp.csr_array((size, size), dtype=np.float64)
    for distance in range(1, min(window, items.size - 1) + 1):
        same = owners[distance:] == owners[:-distance]
        pairs = (rows[:-distance][same], rows[distance:][same])
        counts = counts + sp.coo_array((np.full(pairs[0].size, 1.0 / distance), pairs), shape=(size, size))
    return sp.csr_array(counts + counts.T)


def _ppmi(counts: sp.csr_array) -> sp.csr_array:
    cells = counts.tocoo()
    totals = counts.sum(axis=1)
    contexts = np.power(totals, _CONTEXT_POWER)
    row, column = cells.coords
    information = np.log(cells.data * contexts.sum() / (totals[row] * contexts[column]))
    kept = information > 0
    return sp.csr_array(sp.coo_array((information[kept], (row[kept], column[kept])), shape=counts.shape))
