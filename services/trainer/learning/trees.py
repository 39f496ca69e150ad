"""Trees that learn from clicks: the champion's, put on the scale of clicks, and new ones on top.

The new trees start from sigmoid(slope * champion + intercept + place), fitted first: a thousand clicks cannot rebuild
what the champion knows, they can correct it. The place is an offset of the fit and no part of the model. They learn on
log-loss: on the same clicks it gained a third more than LambdaRank, for a list without a click tells it something too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models.forest import first_trees, joined, rescaled
from models.lambdamart import LambdaMartConfig, Offsets, OnTree, fit_trees
from models.rows import LabelledRows
from services.trainer.learning.calibration import Curve, log_losses
from services.trainer.learning.config import LearnConfig


@dataclass(frozen=True, slots=True)
class Forest:
    """A forest, and how many of its trees a full training made."""

    booster: lightgbm.Booster
    base_trees: int

    def within(self, config: LearnConfig) -> Forest:
        """The forest to continue from: without the trees of earlier continuous fits where it would grow too large."""
        trees = self.booster.num_trees()
        if trees > self.base_trees and trees + config.trees > config.max_trees:
            return Forest(first_trees(self.booster, self.base_trees), self.base_trees)
        return self

    def score(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """(M,) raw scores of (M, numeric columns) rows."""
        return np.asarray(self.booster.predict(features, raw_score=True, num_threads=1), np.float64)


def continue_trees(
    forest: Forest,
    train: LabelledRows,
    valid: LabelledRows,
    start: Curve,
    offsets: Offsets,
    config: LearnConfig,
    seed: int,
    on_tree: OnTree | None = None,
) -> Forest:
    """The forest on the scale of `start`, with new trees as long as they help on `valid`.

    Rows hold the numeric columns; `offsets` are the logits of `start` for the rows of train and of valid.
    """
    hyper = LambdaMartConfig(
        objective="binary",
        trees=config.trees,
        leaves=config.leaves,
        learning_rate=config.tree_rate,
        min_rows_in_leaf=config.min_rows_in_leaf,
        patience=config.patience,
        threads=config.threads,
    )
    moved = rescaled(forest.booster, start.slope, start.intercept)
    fresh = fit_trees(train, valid, hyper, seed, on_tree, offsets)
    # Early stopping compares new trees with each other, not with none.
    with_fresh = offsets[1] + Forest(fresh, 0).score(valid.features)
    return replace(forest, booster=joined(moved, fresh) if _helps(offsets[1], with_fresh, valid) else moved)


def _helps(before: NDArray[np.float64], after: NDArray[np.float64], valid: LabelledRows) -> bool:
    """Whether the log-loss falls by more than its standard error: the champion is not changed for what noise gains."""
    clicked = valid.labels > 0
    gains = valid.weights * (log_losses(before, clicked) - log_losses(after, clicked))
    return float(gains.mean()) > float(gains.std()) / math.sqrt(gains.size)
