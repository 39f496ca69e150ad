"""The metrics of P2 with intervals from a bootstrap over the test's users, and differences paired by user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.metrics import Interval, auc, graded_ndcg

METRICS = ("auc", "gauc", "ndcg_at_10", "log_loss", "ece")
LEAST_EVENTS = 10
"""Test events a user needs to count in NDCG@10."""
RESAMPLES = 200
BINS = 15
"""Of ECE and of reliability diagrams."""

Floats = NDArray[np.float32] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judged:
    """E events that scores are judged on."""

    users: NDArray[np.int64]
    """(E,) 0..U-1, none without an event."""
    labels: NDArray[np.bool_]
    """(E,)"""
    grades: Floats | None = None
    """(E,) what NDCG gains from; None where the label has no grades."""

    @classmethod
    def of(cls, users: NDArray[np.int64], labels: Floats, grades: Floats | None = None) -> Judged:
        """From any rows of users; every label is known."""
        return cls(np.unique(users, return_inverse=True)[1], labels > 0.5, grades)


def evaluate(scores: Floats, judged: Judged, probabilities: Floats | None = None, seed: int = 0) -> dict[str, Interval]:
    """Every metric of P2 with its interval: NDCG@10 only where there are grades, log-loss and ECE only with
    `probabilities`.

    ECE sums absolute gaps, which the noise of resampling can only widen: its interval may lie above its value.
    """
    sums = _Sums.of(scores, judged, probabilities)
    return _intervals(sums.metrics, judged, seed)


def compare(ours: Sequence[Floats], theirs: Sequence[Floats], judged: Judged, seed: int = 0) -> dict[str, Interval]:
    """Mean difference of two scorers' metrics over S fits of each, from their logits, paired by user and by fit."""
    pairs = [
        tuple(_Sums.of(logits, judged, 1 / (1 + np.exp(-logits))) for logits in pair)
        for pair in zip(ours, theirs, strict=True)
    ]

    def differences(weights: NDArray[np.float64]) -> dict[str, float]:
        found = [(our.metrics(weights), their.metrics(weights)) for our, their in pairs]
        return {name: float(np.mean([our[name] - their[name] for our, their in found])) for name in found[0][0]}

    return _intervals(differences, judged, seed)


def _intervals(
    metrics: Callable[[NDArray[np.float64]], dict[str, float]], judged: Judged, seed: int
) -> dict[str, Interval]:
    users = int(judged.users.max()) + 1
    random = np.random.default_rng(seed)
    everyone = metrics(np.ones(users))
    draws = (np.bincount(random.integers(0, users, users), minlength=users) for _ in range(RESAMPLES))
    drawn = [metrics(draw.astype(np.float64)) for draw in draws]
    return {name: _interval(value, [sample[name] for sample in drawn]) for name, value in everyone.items()}


def _interval(value: float, drawn: Sequence[float]) -> Interval:
    if np.isnan(drawn).all():
        return Interval(value, float("nan"), float("nan"))
    return Interval(value, *np.nanpercentile(drawn, [2.5, 97.5]).tolist())


@dataclass(frozen=True, slots=True)
class _Sums:
    """What a resample of the users needs, so that each costs a millisecond: all metrics under weights per user."""

    judged: Judged
    level: NDArray[np.int64]
    """(E,) rank of each score among the distinct ones."""
    within: Floats
    """(U,) AUC inside each user, NaN without both classes."""
    events: Floats
    """(U,)"""
    ndcg: Floats | None
    """(U,) NaN below LEAST_EVENTS."""
    probabilities: Floats | None

    @classmethod
    def of(cls, scores: Floats, judged: Judged, probabilities: Floats | None) -> _Sums:
        user, grades = judged.users, judged.grades
        labels = judged.labels.astype(np.float64)
        parts = np.split(np.argsort(user, kind="stable"), np.cumsum(np.bincount(user))[:-1])
        lists = None if grades is None else [
            graded_ndcg(scores[part], grades[part]) if part.size >= LEAST_EVENTS else np.nan for part in parts
        ]  # fmt: skip
        return cls(
            judged=judged,
            level=np.unique(scores, return_inverse=True)[1],
            within=np.array([auc(scores[part], labels[part]) for part in parts]),
            events=np.array([part.size for part in parts], np.float64),
            ndcg=None if lists is None else np.array(lists, np.float64),
            probabilities=probabilities,
        )

    def metrics(self, weight: NDArray[np.float64]) -> dict[str, float]:
        """All metrics when user u counts weight[u] times."""
        by_event = weight[self.judged.users]
        found = {
            "auc": weighted_auc(self.level, self.judged.labels, by_event),
            "gauc": _known_mean(self.within, weight * self.events),
        }
        if self.ndcg is not None:
            found["ndcg_at_10"] = _known_mean(self.ndcg, weight)
        if self.probabilities is not None:
            found["log_loss"], found["ece"] = self._calibration(by_event, self.probabilities)
        return found

    def _calibration(self, weight: NDArray[np.float64], probabilities: Floats) -> tuple[float, float]:
        p: NDArray[np.float64] = np.asarray(probabilities, np.float64).clip(1e-7, 1 - 1e-7)
        losses = -np.log(np.where(self.judged.labels, p, 1 - p))
        place = np.minimum((p * BINS).astype(np.int64), BINS - 1)
        gaps = np.abs(np.bincount(place, weight * (p - self.judged.labels.astype(np.float64)), BINS))
        return float(np.average(losses, weights=weight)), float(gaps.sum() / weight.sum())


def weighted_auc(level: NDArray[np.int64], positive: NDArray[np.bool_], weight: NDArray[np.float64]) -> float:
    """AUC of events that count `weight` times; `level` is the dense rank of each score, equal levels count half.

    NaN unless both classes are present.
    """
    hits = np.bincount(level, np.where(positive, weight, 0.0))
    misses = np.bincount(level, np.where(positive, 0.0, weight))
    below = np.cumsum(misses) - misses
    pairs = float(hits.sum() * misses.sum())
    return float(hits @ (below + misses / 2)) / pairs if pairs else float("nan")


def _known_mean(values: Floats, weights: NDArray[np.float64]) -> float:
    """Of the values that are not NaN; NaN where there are none."""
    known = ~np.isnan(values)
    total = float(weights[known].sum())
    return float(values[known] @ weights[known]) / total if total else float("nan")
