"""Boosted trees: they learn, and the served form scores exactly as the trained one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest

from models.lambdamart import LambdaMartConfig, fit_trees, to_onnx
from models.ranking import OnnxRanker, open_session
from models.rows import LabelledRows
from models.spec import FeatureSpec
from tests.models.small_catalog import catalog, separable_rows, spec

SMALL = LambdaMartConfig(trees=30, leaves=7, min_rows_in_leaf=5, threads=1)


def random_rows(seed: int, unknown: float, rows: int = 1200, columns: int = 6) -> LabelledRows:
    random = np.random.default_rng(seed)
    features = random.normal(0, 2, (rows, columns)).astype(np.float32)
    labels = (features[:, 0] + features[:, 1] ** 2 + random.normal(0, 0.3, rows) > 3).astype(np.float32)
    features[random.random(features.shape) < unknown] = np.nan
    return LabelledRows(features, labels, np.ones(rows, np.float32), np.full(rows // 12, 12, np.int64))


@pytest.mark.parametrize("objective", ["lambdarank", "binary"])
@pytest.mark.parametrize("unknown", [0.0, 0.2])
def test_the_onnx_form_scores_as_the_booster_does_nan_included(
    objective: Literal["lambdarank", "binary"], unknown: float, tmp_path: Path
) -> None:
    config = LambdaMartConfig(objective=objective, trees=30, leaves=15, min_rows_in_leaf=5, threads=1)
    booster = fit_trees(random_rows(0, unknown), random_rows(1, unknown), config, seed=0)
    onnx.save(to_onnx(booster, width=8), tmp_path / "model.onnx")
    served = OnnxRanker(open_session(tmp_path / "model.onnx"), "lambdamart", FeatureSpec())
    rows = random_rows(2, 0.3).features
    rows[0] = np.nan
    # Rows right on the thresholds decide whether float32 rounding goes the right way. LightGBM's own reader takes what
    # lies within 1e-35 of zero for zero, so its thresholds there are left out.
    thresholds = np.unique(booster.trees_to_dataframe()["threshold"].dropna().to_numpy(np.float64))
    thresholds = thresholds[np.abs(thresholds) > 1e-30]
    rows[1 : 1 + thresholds.size] = thresholds[: rows.shape[0] - 1, None].astype(np.float32)
    wide = np.concatenate([rows, np.zeros((rows.shape[0], 2), np.float32)], axis=1)
    trained = np.asarray(booster.predict(rows, raw_score=True), np.float64)
    np.testing.assert_allclose(served.score(wide).astype(np.float64), trained, atol=1e-5)


def test_the_relevant_item_comes_first_on_a_separable_toy() -> None:
    items = catalog()
    rows = separable_rows(spec(items), items)
    half = np.arange(rows.group_sizes.size) % 2 == 0
    booster = fit_trees(rows.of_queries(half), rows.of_queries(~half), SMALL, seed=0)
    test = rows.of_queries(~half)
    best = np.asarray(booster.predict(test.features)).reshape(-1, 12).argmax(axis=1)
    assert (best == test.labels.reshape(-1, 12).argmax(axis=1)).mean() > 0.95


def test_one_seed_gives_one_model_and_progress_is_told() -> None:
    told: list[tuple[int, int]] = []
    train, held_out = random_rows(0, 0.1), random_rows(1, 0.1)
    first = fit_trees(train, held_out, SMALL, seed=3, on_tree=lambda done, planned: told.append((done, planned)))
    second = fit_trees(train, held_out, SMALL, seed=3)
    np.testing.assert_array_equal(first.predict(train.features), second.predict(train.features))
    assert told[0] == (1, SMALL.trees)
    assert first.num_trees() <= SMALL.trees


def test_scores_without_rows_are_empty(tmp_path: Path) -> None:
    booster = fit_trees(random_rows(0, 0.1), random_rows(1, 0.1), SMALL, seed=0)
    onnx.save(to_onnx(booster, width=6), tmp_path / "model.onnx")
    served = OnnxRanker(open_session(tmp_path / "model.onnx"), "lambdamart", FeatureSpec())
    assert served.score(np.empty((0, 6), np.float32)).shape == (0,)
