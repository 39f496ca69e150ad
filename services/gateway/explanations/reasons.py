"""Why the ranker chose an item, in words: the features in which it stands out from the other candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from services.gateway.nouns import Scores

STANDS_OUT = 0.75
"""Standard deviations from the mean of the candidates from which on a feature is a reason."""
MOST_REASONS = 2

_HIGH = {
    "co_visitation_last": "viewers of your last film went on to it",
    "co_visitation_last3": "viewers of your last films went on to it",
    "co_visitation": "viewers with a history like yours went on to it",
    "ease": "it goes together with your latest films",
    "near_last": "it is close to your last film",
    "near_last3": "it is close to your last films",
    "two_tower": "it is close to your taste as a whole",
    "genre_match_last": "it is of the same kind as your last film",
    "genre_match_last3": "it is of the same kind as your last films",
    "genre_affinity": "it is of a kind you watch often",
    "genre_taste": "it is of a kind you rate highly",
    "like_rate": "most of its viewers liked it",
    "mean_value": "its viewers rate it highly",
    "log_recent_count": "many people are watching it now",
    "popularity": "it is popular right now",
    "segment_popularity": "it is popular with people like you",
}
"""Feature -> what a value far above the mean says."""
_LOW = {
    "year_distance_history": "it is from the years you usually watch",
    "year_gap_last": "it is from about the same years as your last film",
    "log_age_days": "it is new here",
}
"""Feature -> what a value far below the mean says."""


def reasons_of(scores: Scores, row: int) -> tuple[str, ...]:
    """Up to MOST_REASONS clauses of a candidate, strongest first; none when its feature row was not sent."""
    if row not in scores.places:
        return ()
    place = int(np.flatnonzero(scores.places == row)[0])
    standing = _standard_scores(scores.features)[place]
    strength = {
        clause: value
        for column, score in zip(scores.columns, standing.tolist(), strict=True)
        for clause, value in ((_HIGH.get(column), score), (_LOW.get(column), -score))
        if clause is not None and value >= STANDS_OUT
    }
    return tuple(sorted(strength, key=lambda clause: -strength[clause]))[:MOST_REASONS]


def _standard_scores(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(K, C) distances from the mean in standard deviations; 0 where unknown or where all are the same."""
    known = np.isfinite(features)
    counts = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, features, 0.0).sum(axis=0) / counts
    away = np.where(known, features - mean, 0.0)
    spread = np.sqrt((away**2).sum(axis=0) / counts)
    scores: NDArray[np.float32] = np.divide(away, np.where(spread > 1e-9, spread, np.inf)).astype(np.float32)
    return scores


def joined(clauses: Sequence[str]) -> str:
    """Clauses as one: "a, b and c"."""
    return clauses[0] if len(clauses) == 1 else f"{', '.join(clauses[:-1])} and {clauses[-1]}"
