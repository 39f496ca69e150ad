"""Scores become probabilities of a click: a logistic curve of the score and of the place.

Platt, "Probabilistic Outputs for Support Vector Machines" (1999), with one more term for the place, so that the curve
at the top is not mixed up with what lower places do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_STEPS = 50
_RIDGE = 1.0
"""Precision of the prior (slope 1, no effect of the place): it decides where data are few."""
LEAST_SLOPE = 0.05
"""A curve must not turn the order of the scores around."""


@dataclass(frozen=True, slots=True)
class Curve:
    """P(click) = sigmoid(slope * score + intercept + place * log2(position))."""

    slope: float
    intercept: float
    place: float = 0.0

    def logits(self, scores: NDArray[np.floating], log_positions: NDArray[np.floating]) -> NDArray[np.float64]:
        """(M,) of (M,) raw scores at (M,) log2 of the positions; 0 is the top."""
        return self.slope * np.asarray(scores, np.float64) + self.intercept + self.place * log_positions


def fit_curve(
    scores: NDArray[np.floating],
    clicked: NDArray[np.bool_],
    log_positions: NDArray[np.floating] | None = None,
    weights: NDArray[np.floating] | None = None,
) -> Curve:
    """The most likely curve, by Newton's method; without positions the place has no part in it.

    All (M,). Where nothing or everything was clicked the answer stays finite: a click and a miss are added.
    """
    scores = np.asarray(scores, np.float64)
    counts = np.ones(scores.size) if weights is None else np.asarray(weights, np.float64)
    centre = float(np.average(scores, weights=counts)) if scores.size else 0.0
    columns = [scores - centre, np.ones_like(scores)]
    if log_positions is not None:
        columns.append(np.asarray(log_positions, np.float64))
    design = np.stack(columns, axis=1)
    share = (float(counts @ clicked) + 1.0) / (float(counts.sum()) + 2.0)
    prior = np.array([1.0, np.log(share / (1 - share)), 0.0][: len(columns)])
    found = _newton(design, np.asarray(clicked, np.float64), counts, prior)
    slope = max(float(found[0]), LEAST_SLOPE)
    return Curve(slope, float(found[1]) - slope * centre, float(found[2]) if log_positions is not None else 0.0)


def _newton(
    design: NDArray[np.float64], labels: NDArray[np.float64], weights: NDArray[np.float64], prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Coefficients of a logistic regression with a Gaussian prior; steps are halved until the loss falls."""
    found = prior.copy()
    best = _loss(design, labels, weights, prior, found)
    for _ in range(_STEPS):
        chance = _sigmoid(design @ found)
        gradient = design.T @ (weights * (chance - labels)) + _RIDGE * (found - prior)
        curvature = (design.T * (weights * chance * (1 - chance))) @ design + _RIDGE * np.eye(found.size)
        step = np.linalg.solve(curvature, gradient)
        for _ in range(_STEPS):
            loss = _loss(design, labels, weights, prior, found - step)
            if loss <= best:
                break
            step = step / 2
        if best - loss < 1e-10 * max(best, 1.0):
            return found
        found, best = found - step, loss
    return found


def _loss(
    design: NDArray[np.float64],
    labels: NDArray[np.float64],
    weights: NDArray[np.float64],
    prior: NDArray[np.float64],
    found: NDArray[np.float64],
) -> float:
    logits = design @ found
    distance = found - prior
    return float(weights @ (np.logaddexp(0, logits) - labels * logits) + _RIDGE / 2 * distance @ distance)


def log_losses(logits: NDArray[np.float64], clicked: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(M,) log-loss in nats of each of (M,) logits."""
    losses: NDArray[np.float64] = np.logaddexp(0, logits) - clicked * logits
    return losses


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    chances: NDArray[np.float64] = 0.5 * (1 + np.tanh(logits / 2))
    return chances
