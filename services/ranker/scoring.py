"""Candidates of one user in, scores out: the whole of ranking, without a wire."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.items import ItemTable
from models.ranking import Ranker
from models.spec import RETRIEVAL_COLUMNS
from models.user import UserState


@dataclass(frozen=True, slots=True)
class Scored:
    """Answers for N candidates, order and length kept."""

    scores: NDArray[np.float32]
    """(N,) higher is better."""
    features: NDArray[np.float32]
    """(N, F) the rows the scores came from."""
    unknown: NDArray[np.uint64]
    """Candidates that the item table does not have."""
    logits: NDArray[np.float32] | None = None
    """(N, H) of a ranker whose heads were weighed."""


def score_candidates(
    ranker: Ranker,
    items: ItemTable,
    user: UserState,
    ids: NDArray[np.uint64],
    retrieval_scores: NDArray[np.float32] | None,
    at_ms: int,
    weights: Mapping[str, float] | None = None,
) -> Scored:
    """Scores N candidates as of one moment; `retrieval_scores` is (N, len(RETRIEVAL_COLUMNS)) or None. `weights` are
    those of a ranker's heads; without them the score is the ranker's own.
    """
    features = ranker.spec.assemble(user, items, ids, retrieval_scores, at_ms)
    unknown = ids[items.rows_of(ids) < 0]
    if ranker.heads is None or weights is None:
        return Scored(ranker.score(features), features, unknown)
    logits = ranker.logits(features)
    return Scored(ranker.heads.combined(logits, weights), features, unknown, logits)


def in_spec_order(scores: NDArray[np.float32], columns: Sequence[str]) -> NDArray[np.float32]:
    """(N, len(RETRIEVAL_COLUMNS)) from columns in any order; NaN for those that are missing."""
    if tuple(columns) == RETRIEVAL_COLUMNS:
        return scores
    ordered = np.full((scores.shape[0], len(RETRIEVAL_COLUMNS)), np.nan, np.float32)
    for place, name in enumerate(RETRIEVAL_COLUMNS):
        if name in columns:
            ordered[:, place] = scores[:, columns.index(name)]
    return ordered


def best_places(scores: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """(min(count, N),) places of the highest scores, best first; NaN comes last."""
    return np.argsort(-scores, kind="stable")[:count]
