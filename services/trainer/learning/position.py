"""How much each place is looked at: the examination curve of slates, from their clicks.

The position-based model says P(click) = P(examined at k) * P(relevant | features). Both parts are found together by
regression EM: Wang, Golbandi, Bendersky, Metzler, Najork, "Position Bias Estimation for Unbiased Learning to Rank in
Personal Search" (WSDM 2018). Relevance is regressed on the score of the model that ranked, by a histogram: the sums of
cells of (score, position) are all that EM needs, and a thousand iterations take milliseconds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST, MOST = 0.02, 2.0
"""Bounds of the curve; the top is 1."""
_CLICKS_PER_BIN = 30
_MOST_BINS = 20
_ITERATIONS = 5000
_TOLERANCE = 1e-7


def examination(
    scores: NDArray[np.floating], positions: NDArray[np.integer], clicked: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(K,) how much place 1 .. K is looked at, relative to place 1, from M shown items; K is the last place seen.

    `scores` are the model's at the top, `positions` count from 1. What is relevant at one score must not depend on the
    place: true where a place follows from the scores of the whole slate. Ones where there is no click at all.
    """
    last = int(positions.max()) if positions.size else 1
    if not clicked.any():
        return np.ones(last)
    shows, clicks = _cells(scores, positions, clicked, last)
    curve = _em(shows, clicks)
    relative = curve / curve[0]
    relative[shows.sum(axis=0) == 0] = np.nan
    return np.clip(_filled(relative), LEAST, MOST)


def _cells(
    scores: NDArray[np.floating], positions: NDArray[np.integer], clicked: NDArray[np.bool_], last: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(B, K) rows shown and clicked by bin of the score, each with as many clicks, and place."""
    bins = int(np.clip(clicked.sum() // _CLICKS_PER_BIN, 1, _MOST_BINS))
    edges = np.unique(np.quantile(scores[clicked], np.arange(1, bins) / bins))
    cell = np.searchsorted(edges, scores) * last + positions - 1
    size = (edges.size + 1) * last
    shows, clicks = np.bincount(cell, minlength=size), np.bincount(cell, clicked, size)
    return shows.astype(np.float64).reshape(-1, last), clicks.astype(np.float64).reshape(-1, last)


def _em(shows: NDArray[np.float64], clicks: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K,) examination that makes the clicks most likely, up to a common factor."""
    missed = shows - clicks
    relevance = (clicks.sum(axis=1) + 0.5) / (shows.sum(axis=1) + 1.0)
    curve = np.full(shows.shape[1], 0.5)
    for _ in range(_ITERATIONS):
        no_click = 1.0 - relevance[:, None] * curve
        examined = curve * (1.0 - relevance[:, None]) / no_click
        relevant = relevance[:, None] * (1.0 - curve) / no_click
        before = curve
        curve = (clicks + missed * examined).sum(axis=0) / np.maximum(shows.sum(axis=0), 1.0)
        relevance = (clicks + missed * relevant).sum(axis=1) / np.maximum(shows.sum(axis=1), 1.0)
        curve, relevance = np.clip(curve, 1e-4, 1 - 1e-4), np.clip(relevance, 1e-4, 1 - 1e-4)
        if np.abs(curve - before).max() < _TOLERANCE:
            break
    return curve


def _filled(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places nothing was shown at (NaN) take the value of the place before."""
    known = np.where(np.isnan(curve), 0, np.arange(curve.size))
    return curve[np.maximum.accumulate(known)]
