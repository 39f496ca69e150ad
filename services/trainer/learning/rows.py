"""Examples as rows to fit on: what the correction of the place does to features and weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.rows import LabelledRows
from models.spec import POSITION_COLUMN
from services.trainer.examples.examples import Examples
from services.trainer.learning.config import LearnConfig

EXPLORED = "explore"
"""Slot of the item that the exploration rule drew."""


def learning_rows(examples: Examples, config: LearnConfig, curve: NDArray[np.float64] | None = None) -> LabelledRows:
    """Rows of the examples; `curve` is the (K,) examination of the places, needed for "weights" only."""
    features = examples.features
    if config.position == "feature":
        features = features.copy()
        features[:, examples.columns.index(POSITION_COLUMN)] = log_positions(examples)
    weights = np.ones(len(examples), np.float32)
    if config.position == "weights" and curve is not None:
        weights = _weights(examples, curve, config.clip)
    return LabelledRows(features, examples.labels, weights, examples.group_sizes)


def log_positions(examples: Examples) -> NDArray[np.float32]:
    """(M,) log2 of the places; 0 is the top."""
    return np.log2(examples.positions).astype(np.float32)


def _weights(examples: Examples, curve: NDArray[np.float64], clip: float) -> NDArray[np.float32]:
    """(M,) mean 1: clicks by the inverse of how much their place is looked at, explored items by that of their draw.

    An explored item stands for all that the policy could have drawn and hardly ever shows: without the weight a model
    learns what to do with the items that the last model liked.
    """
    examined: NDArray[np.float64] = curve[np.minimum(examples.positions, curve.size) - 1]
    weights = np.where(examples.labels > 0, np.minimum(1.0 / examined, clip), 1.0)
    drawn = np.minimum(1.0 / np.maximum(examples.propensities, 1e-9), clip)
    weights = np.where(examples.slots == EXPLORED, weights * drawn, weights)
    normalised: NDArray[np.float32] = (weights / weights.mean()).astype(np.float32)
    return normalised
