"""Forests taken apart and put together score as the arithmetic says."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from models.forest import first_trees, joined, rescaled
from models.lambdamart import LambdaMartConfig, fit_trees
from models.rows import LabelledRows


def fitted(seed: int, trees: int = 12, columns: int = 5) -> lightgbm.Booster:
    random = np.random.default_rng(seed)
    features = random.normal(size=(600, columns)).astype(np.float32)
    features[::9, 1] = np.nan
    labels = (features[:, 0] + random.normal(size=600) > 0).astype(np.float32)
    rows = LabelledRows(features, labels, np.ones(600, np.float32), np.full(50, 12, np.int64))
    return fit_trees(rows, rows, LambdaMartConfig(trees=trees, leaves=7, min_rows_in_leaf=5, patience=trees), seed)


def scores(forest: lightgbm.Booster) -> NDArray[np.float64]:
    rows = np.random.default_rng(9).normal(size=(200, 5))
    rows[::7] = np.nan
    return np.asarray(forest.predict(rows, raw_score=True), np.float64)


def test_a_rescaled_forest_scores_slope_times_score_plus_intercept() -> None:
    forest = fitted(0)
    np.testing.assert_allclose(scores(rescaled(forest, 1.7, -2.3)), 1.7 * scores(forest) - 2.3, atol=1e-12)


def test_joined_forests_score_the_sum_and_can_be_taken_apart() -> None:
    first, second = fitted(0), fitted(1)
    both = joined(first, second)
    assert both.num_trees() == first.num_trees() + second.num_trees()
    np.testing.assert_allclose(scores(both), scores(first) + scores(second), atol=1e-12)
    np.testing.assert_array_equal(scores(first_trees(both, first.num_trees())), scores(first))


def test_a_joined_forest_survives_its_text_form() -> None:
    both = joined(fitted(0), fitted(1))
    again = lightgbm.Booster(model_str=both.model_to_string())
    assert again.model_to_string() == both.model_to_string()
    np.testing.assert_array_equal(scores(again), scores(both))


def test_a_forest_of_one_leaf_is_a_constant_and_can_be_joined() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(60, 5)).astype(np.float32)
    rows = LabelledRows(features, np.ones(60, np.float32), np.ones(60, np.float32), np.full(5, 12, np.int64))
    constant = fit_trees(rows, rows, LambdaMartConfig(objective="binary", trees=3), 0)
    forest = fitted(0)
    np.testing.assert_allclose(scores(joined(forest, constant)), scores(forest) + scores(constant), atol=1e-9)


def test_forests_of_other_columns_are_not_joined() -> None:
    with pytest.raises(ValueError, match="5 and 6 columns"):
        joined(fitted(0), fitted(0, columns=6))
