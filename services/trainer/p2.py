"""Protocol P2: will this user like it? Every rating is an event at its time, liked when it is 4 or more.

Split by time, 80/10/10: fit, early stopping, test. Features are strictly from earlier seconds: what the feature store
held of the user and the item, and sums over the log for what no view holds. Intervals are 95 %, from a bootstrap over
the test's users.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from rich.table import Table

from models.dlrm import DlrmConfig
from models.feature_blocks import LIKED
from models.lambdamart import LambdaMartConfig, fit_trees
from models.metrics import Interval, auc, graded_ndcg
from models.normalizer import Normalizer
from models.rows import LabelledRows
from services.trainer.history import build_history
from services.trainer.p2_features import SERVICE, Known, RatingColumns, RatingLog, known_activity, rating_features
from services.trainer.ranking_dlrm import fit_dlrm

METRICS = ("auc", "gauc", "ndcg_at_10", "log_loss", "ece")
LEAST_EVENTS = 10
"""Test events a user needs to count in NDCG@10."""
RESAMPLES = 200
_BINS = 15
_FIT_SHARE, _TUNE_SHARE = 0.8, 0.9

Floats = NDArray[np.float32] | NDArray[np.float64]
Progress = Callable[[str, int, int], None]
"""Told the scorer being fitted, the steps done, and the steps planned."""


@dataclass(frozen=True, slots=True)
class P2Data:
    """The log with its features and where its parts end."""

    log: RatingLog
    features: NDArray[np.float32]
    """(E, F)"""
    columns: RatingColumns
    fit_end: int
    """Events before it are for fitting."""
    tune_end: int
    """From fit_end to here they stop the fit; the rest is the test."""

    @classmethod
    def of(cls, log: RatingLog, known: Known) -> P2Data:
        """Splits by time and computes the features. A second is never cut in two."""
        fit_end, tune_end = (_second_start(log.seconds, round(share * len(log))) for share in (_FIT_SHARE, _TUNE_SHARE))
        features, columns = rating_features(log, known)
        numeric = features[:fit_end, : len(columns.numeric_columns)]
        return cls(log, features, replace(columns, normalizer=Normalizer.fit(numeric)), fit_end, tune_end)

    def rows(self, begin: int, end: int, width: int | None = None) -> LabelledRows:
        """Events [begin, end) with like labels, each its own query; only the first `width` columns if given."""
        count = end - begin
        return LabelledRows(
            np.ascontiguousarray(self.features[begin:end, :width]),
            (self.log.ratings[begin:end] >= LIKED).astype(np.float32),
            np.ones(count, np.float32),
            np.ones(count, np.int64),
        )


@dataclass(frozen=True, slots=True)
class P2Result:
    """One scorer under P2."""

    metrics: Mapping[str, Interval]
    """By name in METRICS; a scorer that gives no probabilities lacks log_loss and ece."""
    fit_seconds: float


def run_p2(
    data_dir: Path,
    seed: int = 0,
    progress: Progress | None = None,
    trees: LambdaMartConfig | None = None,
    network: DlrmConfig | None = None,
) -> dict[str, P2Result]:
    """Both rankers and two peers (a random order; item mean plus user bias) on the ratings of data_dir/lake."""
    data = p2_data(data_dir)
    log = data.log
    test = slice(data.tune_end, None)
    expected = data.features[test, data.columns.columns.index("expected")]
    random = np.random.default_rng(seed).random(expected.size)
    results = {
        name: P2Result(evaluate(scores, log, test), 0.0)
        for name, scores in (("random order", random), ("item mean + user bias", expected))
    }
    fits: dict[str, Callable[[], Floats]] = {
        "lambdamart": lambda: _trees_logits(data, trees or TREES, seed, progress),
        "dlrm": lambda: _network_logits(data, network or NETWORK, seed, progress),
    }
    for name, fit in fits.items():
        started = time.perf_counter()
        logits = fit()
        seconds = time.perf_counter() - started
        results[name] = P2Result(evaluate(logits, log, test, probabilities=1 / (1 + np.exp(-logits))), seconds)
    return results


def p2_data(data_dir: Path) -> P2Data:
    """The lake's ratings joined with the offline views, which are built first where one is missing."""
    # Feast takes seconds to import; commands that make no dataset need not wait for it.
    from services.features.definitions import offline_folder, offline_store

    store, offline = offline_store(data_dir), offline_folder(data_dir)
    views = [view.name for view in store.get_feature_service(SERVICE).feature_view_projections]
    if not all((offline / f"{view}.parquet").exists() for view in views):
        build_history(data_dir)
    lake = data_dir / "lake"
    tables = [pl.read_parquet(lake / name) for name in ("users.parquet", "items.parquet", "events/**/*.parquet")]
    log = RatingLog.of(*tables)
    return P2Data.of(log, known_activity(store, log))


TREES = LambdaMartConfig(objective="binary", trees=300, leaves=31, learning_rate=0.1)
NETWORK = DlrmConfig(objective="binary", epochs=3, batch_rows=4096)


def _trees_logits(data: P2Data, config: LambdaMartConfig, seed: int, progress: Progress | None) -> Floats:
    numeric = len(data.columns.numeric_columns)
    booster = fit_trees(
        data.rows(0, data.fit_end, numeric),
        data.rows(data.fit_end, data.tune_end, numeric),
        config,
        seed,
        _named(progress, "lambdamart"),
    )
    return np.asarray(booster.predict(data.features[data.tune_end :, :numeric], raw_score=True), np.float64)


def _network_logits(data: P2Data, config: DlrmConfig, seed: int, progress: Progress | None) -> Floats:
    network = fit_dlrm(
        data.rows(0, data.fit_end),
        data.rows(data.fit_end, data.tune_end),
        data.columns,
        config,
        seed,
        _named(progress, "dlrm"),
    )
    with torch.inference_mode():
        logits: torch.Tensor = network(torch.from_numpy(data.features[data.tune_end :]))
    return np.asarray(logits.squeeze(1).numpy(), np.float64)


def _named(progress: Progress | None, name: str) -> Callable[[int, int], None] | None:
    return None if progress is None else lambda done, planned: progress(name, done, planned)


def evaluate(
    scores: Floats, log: RatingLog, test: slice, probabilities: Floats | None = None, seed: int = 0
) -> dict[str, Interval]:
    """Every metric of P2 with its interval; log-loss and ECE only where `probabilities` are given.

    ECE sums absolute gaps, which the noise of resampling can only widen: its interval may lie above its value.
    """
    ratings, (_, user) = log.ratings[test], np.unique(log.users[test], return_inverse=True)
    liked = ratings >= LIKED
    scorer = _Sums.of(scores, ratings, liked, user, probabilities)
    users = int(user.max()) + 1
    everyone = scorer.metrics(np.ones(users))
    random = np.random.default_rng(seed)
    drawn = [scorer.metrics(np.bincount(random.integers(0, users, users), minlength=users)) for _ in range(RESAMPLES)]
    return {
        name: Interval(value, *np.nanpercentile([sample[name] for sample in drawn], [2.5, 97.5]).tolist())
        for name, value in everyone.items()
    }


@dataclass(frozen=True, slots=True)
class _Sums:
    """What a resample of the users needs, so that each costs a millisecond: all metrics under weights per user."""

    user: NDArray[np.int64]
    liked: NDArray[np.bool_]
    level: NDArray[np.int64]
    """(E,) rank of each score among the distinct ones."""
    within: Floats
    """(U,) AUC inside each user, NaN without both classes."""
    events: Floats
    """(U,)"""
    ndcg: Floats
    """(U,) NaN below LEAST_EVENTS."""
    probabilities: Floats | None

    @classmethod
    def of(
        cls,
        scores: Floats,
        ratings: Floats,
        liked: NDArray[np.bool_],
        user: NDArray[np.int64],
        probabilities: Floats | None,
    ) -> _Sums:
        parts = np.split(np.argsort(user, kind="stable"), np.cumsum(np.bincount(user))[:-1])
        return cls(
            user=user,
            liked=liked,
            level=np.unique(scores, return_inverse=True)[1],
            within=np.array([auc(scores[part], liked[part].astype(np.float64)) for part in parts]),
            events=np.array([part.size for part in parts], np.float64),
            ndcg=np.array(
                [graded_ndcg(scores[p], ratings[p]) if p.size >= LEAST_EVENTS else np.nan for p in parts], np.float64
            ),
            probabilities=probabilities,
        )

    def metrics(self, weights: NDArray[np.floating] | NDArray[np.integer]) -> dict[str, float]:
        """All metrics when user u counts weights[u] times."""
        weight = np.asarray(weights, np.float64)
        mixed, listed = ~np.isnan(self.within), ~np.isnan(self.ndcg)
        found = {
            "auc": weighted_auc(self.level, self.liked, weight[self.user]),
            "gauc": float(np.average(self.within[mixed], weights=(weight * self.events)[mixed])),
            "ndcg_at_10": float(np.average(self.ndcg[listed], weights=weight[listed])),
        }
        if self.probabilities is not None:
            found["log_loss"], found["ece"] = self._calibration(weight[self.user], self.probabilities)
        return found

    def _calibration(self, weight: NDArray[np.float64], probabilities: Floats) -> tuple[float, float]:
        p: NDArray[np.float64] = np.asarray(probabilities, np.float64).clip(1e-7, 1 - 1e-7)
        losses = -np.log(np.where(self.liked, p, 1 - p))
        place = np.minimum((p * _BINS).astype(np.int64), _BINS - 1)
        gaps = np.abs(np.bincount(place, weight * (p - self.liked.astype(np.float64)), _BINS))
        return float(np.average(losses, weights=weight)), float(gaps.sum() / weight.sum())


def weighted_auc(level: NDArray[np.int64], positive: NDArray[np.bool_], weight: NDArray[np.float64]) -> float:
    """AUC of events that count `weight` times; `level` is the dense rank of each score, equal levels count half."""
    hits = np.bincount(level, np.where(positive, weight, 0.0))
    misses = np.bincount(level, np.where(positive, 0.0, weight))
    below = np.cumsum(misses) - misses
    return float((hits @ (below + misses / 2)) / (hits.sum() * misses.sum()))


def p2_table(results: Mapping[str, P2Result]) -> Table:
    """The results for a person."""
    table = Table("scorer", *METRICS, "fit s", title="P2: will this user like it (95 % intervals over users)")
    for name, result in results.items():
        cells = [_cell(result.metrics.get(metric)) for metric in METRICS]
        table.add_row(name, *cells, f"{result.fit_seconds:.0f}")
    return table


def _cell(found: Interval | None) -> str:
    return "–" if found is None else f"{found.mean:.4f} [{found.low:.4f}, {found.high:.4f}]"


def _second_start(seconds: NDArray[np.int64], place: int) -> int:
    """The first event of the second that event `place` belongs to."""
    return int(np.searchsorted(seconds, seconds[min(place, seconds.size - 1)]))
