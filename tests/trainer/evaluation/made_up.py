"""Results that were never measured, so that everything about them is known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.metrics import Interval, Reliability
from services.trainer.evaluation.about import About
from services.trainer.evaluation.figures import Figures
from services.trainer.evaluation.ours import OURS, RETRIEVAL_ALONE
from services.trainer.evaluation.rated import Rated
from services.trainer.evaluation.results import Result
from services.trainer.evaluation.summary import summarise
from tests.trainer.small_interactions import ring

USERS = 40
ABOUT = About(
    "ml-1m", "0" * 64, USERS, 60, 560, False, 0, 8, "python -m evaluate", 2, "Linux", "2026-01-01T00:00:00+00:00"
)


def result(
    model: str, ranks: NDArray[np.float64], seed: int = 0, sources: Mapping[str, NDArray[np.float64]] | None = None
) -> Result:
    """Every user has the same list of ten."""
    lists = np.tile(np.arange(10, dtype=np.int32), (ranks.size, 1))
    return Result(model, seed, 7.0 + seed, "abc", np.arange(ranks.size), ranks, lists, sources or {})


def results(ours: float = 1.0, bar: float = 5.0) -> list[Result]:
    """Our funnel and three peers: `ours` and `bar` are the ranks of half of the users, the others' are missed."""
    half = np.arange(USERS) % 2 == 0

    def hits(rank: float) -> NDArray[np.float64]:
        return np.where(half, rank, np.inf)

    sources = {"two_tower": hits(3.0), "co_visitation": np.full(USERS, 40.0)}
    return sorted(
        [
            result(OURS, hits(ours)),
            result(RETRIEVAL_ALONE, hits(60.0), sources=sources),
            result("two_stage", hits(bar)),
            result("two_stage", hits(bar), seed=1),
            result("popularity", hits(300.0)),
        ],
        key=lambda one: (one.model, one.seed),
    )


def figures(ours: float = 1.0, bar: float = 5.0) -> Figures:
    """Figures of `results`, on a ring of films."""
    diagram = Reliability(np.array([0.2, 0.8]), np.array([0.1, 0.9]), np.array([5, 5]))
    metrics = {name: Interval(0.7, 0.6, 0.8) for name in ("auc", "gauc", "ndcg_at_10")}
    sure = {**metrics, "log_loss": Interval(0.5, 0.4, 0.6), "ece": Interval(0.1, 0.1, 0.1)}
    rated = [Rated("random order", [0], 0.0, metrics, None, ["abc"]), Rated("dlrm", [0], 3.0, sure, diagram, ["abc"])]
    return summarise(ABOUT, results(ours, bar), rated, ring(USERS))
