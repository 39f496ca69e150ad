"""Two models on the same cases: the difference of their means, with a bootstrap over users.

Cases of one user are alike, so the bootstrap draws users with all their cases (Field & Welsh, "Bootstrapping
clustered data", JRSS B 2007); pairing removes what both models share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Difference:
    """Challenger minus champion, of a metric that is better when higher unless `lower_is_better`."""

    champion: float
    challenger: float
    low: float
    """Ends of the interval of the difference."""
    high: float
    resamples: Floats
    """(R,) the difference in each resample."""
    users: int
    lower_is_better: bool = False

    @property
    def mean(self) -> float:
        """The difference itself."""
        return self.challenger - self.champion

    def surely_worse(self, tolerance: float) -> bool:
        """True when the whole interval is worse than the champion by more than `tolerance`."""
        return self.low > tolerance if self.lower_is_better else self.high < -tolerance

    def surely_better(self) -> bool:
        """True when the whole interval is on the better side of 0."""
        return self.high < 0 if self.lower_is_better else self.low > 0

    def p_worse(self, tolerance: float) -> float:
        """One-sided p-value of "worse by more than `tolerance`": the share of resamples that say otherwise."""
        loss = self.resamples if self.lower_is_better else -self.resamples
        return float((1 + np.count_nonzero(loss <= tolerance)) / (1 + self.resamples.size))

    def figures(self) -> Mapping[str, float]:
        """For a Check."""
        return {
            "champion": self.champion,
            "challenger": self.challenger,
            "difference": self.mean,
            "low": self.low,
            "high": self.high,
        }

    def __str__(self) -> str:
        if self.mean == 0:
            return "equal" if self.low == self.high else f"equal [{self.low:+.4f}, {self.high:+.4f}]"
        worse = (self.mean > 0) == self.lower_is_better
        ends = sorted((abs(self.low), abs(self.high))) if self.low * self.high > 0 else (self.low, self.high)
        return f"{'worse' if worse else 'better'} by {abs(self.mean):.4f} [{ends[0]:.4f}, {ends[1]:.4f}]"


def compare(
    champion: Floats,
    challenger: Floats,
    users: NDArray[np.uint64],
    *,
    seed: int,
    weights: Floats | None = None,
    resamples: int = 2000,
    confidence: float = 0.95,
    lower_is_better: bool = False,
) -> Difference:
    """The weighted means of (N,) values of two models on the same N cases, and the interval of their difference.

    With cases of fewer than two users the interval is without bounds. Needs one case at least.
    """
    weights = np.ones(champion.size) if weights is None else weights
    who, owner = np.unique(users, return_inverse=True)
    gains = np.bincount(owner, weights * (challenger - champion), who.size)
    mass = np.bincount(owner, weights, who.size)
    low, high, drawn = -np.inf, np.inf, np.zeros(0)
    if who.size > 1:
        found = bootstrap(
            (gains, mass),
            _ratio,
            paired=True,
            vectorized=True,
            n_resamples=resamples,
            batch=100,
            method="percentile",
            confidence_level=confidence,
            rng=np.random.default_rng(seed),
        )
        low, high = (float(end) for end in found.confidence_interval)
        drawn = np.asarray(found.bootstrap_distribution, np.float64)
    total = float(weights.sum())
    return Difference(
        float(weights @ champion) / total,
        float(weights @ challenger) / total,
        low,
        high,
        drawn,
        int(who.size),
        lower_is_better,
    )


def _ratio(gains: Floats, mass: Floats, axis: int = -1) -> Floats:
    found: Floats = gains.sum(axis=axis) / np.maximum(mass.sum(axis=axis), 1e-12)
    return found


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for their number: Holm, "A simple sequentially rejective multiple test procedure", 1979."""
    adjusted = [1.0] * len(p_values)
    worst = 0.0
    for step, place in enumerate(np.argsort(p_values, kind="stable").tolist()):
        worst = max(worst, min(1.0, (len(p_values) - step) * p_values[place]))
        adjusted[place] = worst
    return adjusted
