"""How good a small fit of our whole pipeline is on MovieLens-100K, stage by stage, against what was recorded."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from models.dlrm import DlrmConfig
from models.lambdamart import LambdaMartConfig
from models.metrics import hit_rate
from services.retrieval.loading import open_retriever
from services.retrieval.retriever import NO_IDS
from services.trainer.catalog import item_table
from services.trainer.data.interactions import Interactions
from services.trainer.data.lake import import_movielens, read_snapshot
from services.trainer.evaluation.ours import watch_ours
from services.trainer.moment import moments_before
from services.trainer.pipeline import Plan, fit
from services.trainer.progress import Steps
from services.trainer.retrieval_models import RetrievalFitConfig
from services.trainer.tower_fit import TowerFitConfig

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
"""When the data is imported: its newest event falls on it."""
RECORDED = Path(__file__).with_name("accuracy.json")
COMMAND = "python -m tests.trainer.record_accuracy"
SOURCES = ("two_tower", "co_visitation", "ease")
"""Whose own lists are judged."""
WAITS = "two_tower, changed by waits"
"""Share of the tower's first LISTED that are others when nobody knows when things happened. What waits are worth in
accuracy is lost in noise on data this small; that they are read is not."""
LISTED, WATCHED = 100, 200
"""Length of those lists, and users whose lists are compared."""


def fill_lake(folder: Path) -> Path:
    """MovieLens-100K, fetched once into the data folder. Raises Unavailable where it cannot be."""
    import_movielens("ml-100k", Path(os.environ.get("CASCADE_DATA_DIR", ".data")) / "raw", folder, NOW)
    return folder


def small_plan(work: Path, seed: int = 0) -> Plan:
    """Fits of seconds."""
    towers = TowerFitConfig(epochs=3, refit_epochs=1, batch_windows=16, warm_up=10, threads=1)
    return Plan(
        work,
        "ml-100k",
        seed,
        moments=700,
        retrieval=RetrievalFitConfig(fit=towers),
        rankers={"lambdamart": LambdaMartConfig(trees=80), "dlrm": DlrmConfig(epochs=3)},
    )


def measure(lake: Path, seed: int = 0) -> dict[str, float]:
    """NDCG of every stage, and HR@10 of what is served, on the last event of every second user."""
    steps = Steps(Console(quiet=True))
    interactions = Interactions.load(lake)
    chosen = np.arange(0, sum(1 for _ in interactions.targets()), 2)
    with TemporaryDirectory(prefix="cascade-accuracy-") as folder:
        work = Path(folder)
        plan = small_plan(work, seed)
        folders = fit(plan, steps, interactions, read_snapshot(lake), work / "drafts")
        seen = watch_ours(steps, interactions, folders, chosen, plan)
        changed = _changed_by_waits(folders["two_tower"].parent, interactions, work)
    return {
        **{name: _ndcg(seen.sources[name]) for name in SOURCES},
        WAITS: changed,
        "merged": _ndcg(seen.merged.ranks),
        **{name: _ndcg(ranked.ranks) for name, ranked in seen.ranked.items()},
        **{f"{name} hr@10": float(hit_rate(ranked.ranks, 10).mean()) for name, ranked in seen.ranked.items()},
    }


def deviations(found: Mapping[str, float], recorded: Mapping[str, float], tolerances: Mapping[str, float]) -> list[str]:
    """A sentence for each figure that is further than its tolerance, a share, from what was recorded."""
    return [
        f"{name} is {found.get(name, 0.0):.4f}, recorded was {wanted:.4f}"
        for name, wanted in recorded.items()
        if not abs(found.get(name, 0.0) - wanted) <= tolerances[name] * wanted
    ]


def read_recorded() -> tuple[dict[str, float], dict[str, float]]:
    """What was recorded, and the share by which each figure of a fit elsewhere may differ."""
    told = json.loads(RECORDED.read_text())
    return told["figures"], told["tolerances"]


def _changed_by_waits(folder: Path, interactions: Interactions, work: Path) -> float:
    known = interactions.leave_last(1)
    table = item_table(known.items, known.events_frame())
    with open_retriever(folder, table, work / "scratch") as retriever:
        tower = retriever.sources[0]
        shares = []
        for moment in moments_before(interactions, [1])[:WATCHED]:
            timeless = replace(moment.user, history_times=np.zeros_like(moment.user.history_times), at_ms=0)
            first, other = (
                tower.propose(retriever.query(user, NO_IDS, (), 0), LISTED).rows for user in (moment.user, timeless)
            )
            shares.append(1.0 - np.intersect1d(first, other).size / LISTED)
    return float(np.mean(shares))


def _ndcg(ranks: NDArray[np.float64]) -> float:
    """Over the whole list: every place counts, which tells small changes apart better than a cut."""
    return float((1.0 / np.log2(1.0 + ranks)).mean())
