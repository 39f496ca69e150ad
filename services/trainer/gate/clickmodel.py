"""P(click) from any ranker's scores, fitted the same way for both, so that their probabilities can be compared.

The curve knows the place an item was shown at: clicks come from the top whoever ordered it, and without that term the
ranker that ordered it, the champion, would be credited for them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from services.trainer.learning.calibration import fit_curve

Floats = NDArray[np.float64]


def click_probabilities(
    scores: Floats, positions: NDArray[np.int64], clicked: Floats, known: NDArray[np.bool_]
) -> Floats:
    """(M,) P(click at its place) of M rows, calibrated on those that a (M,) mask says are known.

    Scores are standardised first: their unit is the ranker's own affair.
    """
    unit = (scores - scores[known].mean()) / (scores[known].std() or 1.0)
    log_places = np.log2(positions)
    curve = fit_curve(unit[known], clicked[known] > 0, log_places[known])
    found: Floats = 1 / (1 + np.exp(-np.clip(curve.logits(unit, log_places), -50, 50)))
    return found


def log_losses(probabilities: Floats, clicked: Floats) -> Floats:
    """(M,) nats of each row; probabilities are kept 1e-7 away from 0 and 1."""
    p = np.clip(probabilities, 1e-7, 1 - 1e-7)
    return np.where(clicked > 0, -np.log(p), -np.log1p(-p))


def calibration_error(probabilities: Floats, clicked: Floats, bins: int = 10) -> float:
    """Expected calibration error over bins of equal mass, rows in the order of their probability.

    Naeini et al., AAAI 2015, with equal mass as in Nixon et al., "Measuring Calibration in Deep Learning", 2019.
    """
    order = np.argsort(probabilities, kind="stable")
    gaps = (probabilities - clicked)[order]
    return float(sum(abs(part.sum()) for part in np.array_split(gaps, bins)) / max(gaps.size, 1))
