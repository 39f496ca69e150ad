"""Whether the halves of a two_tower artifact belong together: user tower, item vectors, index.

A user tower of one training over item vectors of another still answers, with vectors of the right length, and finds
nothing. Neither checksums nor the service notice.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.tower_fingerprint import is_tied
from services.retrieval.index.protocol import VectorIndex
from services.retrieval.query import Tower
from services.trainer.gate.config import GateConfig
from services.trainer.gate.verdict import Check

AGREEMENT = 1e-4
"""Largest difference between a score from the index and the same dot product."""
_SAMPLE = 200
"""Items looked up in the index; each brings its hundred nearest with it."""
_NEAREST = 100


def tied_check(folder: Path) -> Check:
    """Whether user tower and item vectors come from one export."""
    tied = is_tied(folder)
    if tied is None:
        return Check("tied", False, "does not say that its user tower and its item vectors were exported together")
    if not tied:
        return Check("tied", False, "stale tower: its user tower and its item vectors are not of one export")
    return Check("tied", True, "user tower and item vectors are of one export")


def vectors_check(tower: Tower, index: VectorIndex, seed: int) -> Check:
    """Whether the index holds the tower's vectors: every item once, and scores that are their dot products.

    Vectors have length 1, so an item's score for its own vector is 1 only when the index holds that very vector.
    """
    if not np.isfinite(tower.item_vectors).all():
        return Check("index_vectors", False, "some item vectors are no numbers")
    points, items = index.count(), tower.item_ids.size
    if points != items:
        return Check("index_vectors", False, f"the index holds {points} vectors for {items} items")
    rows = np.random.default_rng(seed).permutation(items)[:_SAMPLE]
    found = [_differences(tower, index, row) for row in rows.tolist()]
    wrong = sum(bool((difference > AGREEMENT).any()) for difference in found)
    seen = int(sum(difference.size for difference in found))
    figures = {"looked_up": float(rows.size), "wrong": float(wrong)}
    if wrong:
        return Check(
            "index_vectors", False, f"{wrong} of {rows.size} items are not found where their vectors are", figures
        )
    return Check("index_vectors", True, f"{seen} scores of the index are dot products of the item vectors", figures)


def recall_check(tower: Tower, index: VectorIndex, interests: NDArray[np.float32], config: GateConfig) -> Check:
    """recall@100 of the index against exact search, for (B, D) interests of real users."""
    k = min(_NEAREST, tower.item_ids.size)
    found = 0
    for interest in interests:
        exact = np.argpartition(-(tower.item_vectors @ interest), k - 1)[:k]
        found += np.intersect1d(index.search(interest, k).ids, tower.item_ids[exact]).size
    recall = found / max(k * len(interests), 1)
    figures = {"challenger": recall}
    if recall < config.index_recall:
        return Check("index_recall", False, f"recall@{k} {recall:.3f} is below {config.index_recall:.3f}", figures)
    return Check("index_recall", True, f"recall@{k} {recall:.3f} against exact search", figures)


def _differences(tower: Tower, index: VectorIndex, row: int) -> NDArray[np.float64]:
    """(K,) |score of the index - dot product| of the nearest items of an item, infinite where it is a stranger's."""
    vector = np.asarray(tower.item_vectors[row])
    hits = index.search(vector, min(_NEAREST, tower.item_ids.size))
    places = np.minimum(np.searchsorted(tower.item_ids, hits.ids), tower.item_ids.size - 1)
    known = tower.item_ids[places] == hits.ids
    gaps = np.abs(tower.item_vectors[places] @ vector - hits.scores)
    if not (hits.ids == tower.item_ids[row]).any():
        return np.array([np.inf])
    return np.where(known, gaps, np.inf).astype(np.float64)
