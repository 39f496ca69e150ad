"""The metrics of the evaluation protocols, each from plain arrays.

HR@k      share of users whose target is among the first k
NDCG@k    1 / log2(1 + rank) of the one target, 0 beyond k             Järvelin & Kekäläinen, TOIS 2002
graded    gains 2^r - 1 over all of a user's rated items               Burges et al., ICML 2005
GAUC      AUC within each user, weighted by the user's events          Zhou et al., KDD 2018 (DIN), eq. 8
ECE       |confidence - accuracy| over equal-width bins                Guo et al., ICML 2017

What lists are like, whoever they please, stands in list_metrics.py.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap, rankdata

Floats = NDArray[np.float64] | NDArray[np.float32]


class Interval(NamedTuple):
    """A mean with its bootstrap confidence interval."""

    mean: float
    low: float
    high: float


def target_rank(scores: Floats, target: int) -> float:
    """1-based rank of entry `target` among (N,) scores, higher first; ties at the mean rank. NaN ranks last."""
    clean = np.where(np.isnan(scores), -np.inf, scores)
    mine = clean[target]
    return float(1 + (clean > mine).sum() + ((clean == mine).sum() - 1) / 2)


def hit_rate(ranks: Floats, k: int) -> NDArray[np.float64]:
    """(U,) 1 where the rank is within k, else 0; infinite ranks are misses."""
    return (ranks <= k).astype(np.float64)


def ndcg(ranks: Floats, k: int) -> NDArray[np.float64]:
    """(U,) NDCG@k of lists with one relevant item at the given 1-based ranks."""
    return np.where(ranks <= k, 1.0 / np.log2(1.0 + ranks), 0.0)


def graded_ndcg(scores: Floats, grades: Floats, k: int = 10) -> float:
    """NDCG@k of one list with gains 2^grade - 1. Equal scores keep the order they came in. NaN when no gain exists."""
    gains = np.exp2(np.asarray(grades, np.float64)) - 1.0
    discounts = 1.0 / np.log2(np.arange(2, min(k, gains.size) + 2))
    ideal = float(np.sort(gains)[::-1][:k] @ discounts)
    if ideal == 0.0:
        return float("nan")
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")[:k]
    return float(gains[order] @ discounts) / ideal


def auc(scores: Floats, labels: Floats) -> float:
    """Area under the ROC curve by the rank sum; ties count half. NaN unless both classes are present."""
    positive = np.asarray(labels, np.float64) > 0.5
    hits, misses = int(positive.sum()), int((~positive).sum())
    if not hits or not misses:
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))


def gauc(scores: Floats, labels: Floats, users: NDArray[np.integer]) -> float:
    """AUC within each user, weighted by events; users with one class only are left out. NaN when none remains."""
    order = np.argsort(users, kind="stable")
    starts = np.flatnonzero(np.diff(users[order], prepend=users[order[:1]] - 1)) if users.size else np.empty(0, int)
    total = weight = 0.0
    for rows in np.split(order, starts[1:]):
        value = auc(scores[rows], labels[rows])
        if not np.isnan(value):
            total += value * rows.size
            weight += rows.size
    return total / weight if weight else float("nan")


def log_loss(probabilities: Floats, labels: Floats) -> float:
    """Mean negative log-likelihood in nats; probabilities are kept 1e-7 away from 0 and 1."""
    p = np.clip(np.asarray(probabilities, np.float64), 1e-7, 1 - 1e-7)
    return float(-np.mean(np.where(np.asarray(labels, np.float64) > 0.5, np.log(p), np.log1p(-p))))


def calibration_error(probabilities: Floats, labels: Floats, bins: int = 15) -> float:
    """Expected calibration error over equal-width bins, 0 is perfect."""
    p, y = np.asarray(probabilities, np.float64), np.asarray(labels, np.float64)
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    gaps = np.abs(np.bincount(place, p, bins) - np.bincount(place, y, bins))
    return float(gaps.sum() / max(p.size, 1))


class Reliability(NamedTuple):
    """A reliability diagram: B equal-width bins of the predicted probability. NaN where a bin is empty."""

    predicted: NDArray[np.float64]
    """(B,) mean prediction."""
    observed: NDArray[np.float64]
    """(B,) share of the labels that are 1."""
    events: NDArray[np.int64]
    """(B,) how many."""


def reliability(probabilities: Floats, labels: Floats, bins: int = 15) -> Reliability:
    """What was predicted against what came true (Guo et al., ICML 2017, equation 2, on the bins of their ECE)."""
    p, y = np.asarray(probabilities, np.float64), np.asarray(labels, np.float64)
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        return Reliability(np.bincount(place, p, bins) / count, np.bincount(place, y, bins) / count, count)


def interval(values: Floats, seed: int = 0, resamples: int = 1000) -> Interval:
    """Mean of per-user values with its 95 % bootstrap interval."""
    values = np.asarray(values, np.float64)
    mean = float(values.mean())
    if values.size < 2 or bool((values == values[0]).all()):
        return Interval(mean, mean, mean)
    found = bootstrap(
        (values,), np.mean, n_resamples=resamples, batch=50, method="percentile", rng=np.random.default_rng(seed)
    )
    return Interval(mean, float(found.confidence_interval.low), float(found.confidence_interval.high))


def paired_interval(ours: Floats, theirs: Floats, seed: int = 0, resamples: int = 1000) -> Interval:
    """Mean difference of two systems on the same users with its 95 % bootstrap interval over users."""
    return interval(np.asarray(ours, np.float64) - np.asarray(theirs, np.float64), seed, resamples)
