from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score, roc_auc_score

from models import metrics


def test_ties_stand_at_their_mean_rank() -> None:
    scores = np.array([0.5, 0.9, 0.5, 0.5, 0.1])
    assert metrics.target_rank(scores, 1) == 1
    assert metrics.target_rank(scores, 0) == 3
    assert metrics.target_rank(scores, 4) == 5


def test_nan_ranks_below_every_score() -> None:
    assert metrics.target_rank(np.array([np.nan, -1e30]), 0) == 2


def test_hit_rate_and_ndcg_of_known_ranks() -> None:
    ranks = np.array([1.0, 3.0, 11.0, np.inf])
    assert metrics.hit_rate(ranks, 10).tolist() == [1, 1, 0, 0]
    assert metrics.ndcg(ranks, 10).tolist() == pytest.approx([1, 0.5, 0, 0])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40))
def test_auc_is_that_of_scikit_learn(rows: list[tuple[float, bool]]) -> None:
    scores, labels = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], float)
    if 0 < labels.sum() < labels.size:
        assert metrics.auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    else:
        assert np.isnan(metrics.auc(scores, labels))


def test_gauc_weighs_users_by_their_events_and_skips_those_with_one_class() -> None:
    users = np.array([2, 1, 1, 2, 2, 3])
    labels = np.array([1.0, 1, 0, 0, 0, 1])
    scores = np.array([0.5, 0.1, 0.9, 0.4, 0.6, 0.5])
    assert metrics.gauc(scores, labels, users) == pytest.approx((0.0 * 2 + 0.5 * 3) / 5)


def test_graded_ndcg_is_that_of_scikit_learn_with_exponential_gains() -> None:
    random = np.random.default_rng(1)
    for _ in range(50):
        grades, scores = random.integers(1, 6, 25).astype(float), random.random(25)
        expected = ndcg_score([2**grades - 1], [scores], k=10)
        assert metrics.graded_ndcg(scores, grades, 10) == pytest.approx(expected)


def test_log_loss_and_calibration_of_a_coin() -> None:
    labels = np.array([1.0, 0.0, 1.0, 0.0])
    assert metrics.log_loss(np.full(4, 0.5), labels) == pytest.approx(np.log(2))
    assert metrics.calibration_error(np.full(4, 0.5), labels) == pytest.approx(0.0)
    assert metrics.calibration_error(np.full(4, 0.9), labels) == pytest.approx(0.4)


def test_log_loss_of_a_certain_mistake_is_finite() -> None:
    assert np.isfinite(metrics.log_loss(np.array([0.0, 1.0]), np.array([1.0, 0.0])))


def test_the_interval_of_a_mean_has_the_width_of_its_standard_error() -> None:
    values = (np.random.default_rng(0).random(6040) < 0.3).astype(float)
    found = metrics.interval(values)
    assert found.low < found.mean < found.high
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.0059, rel=0.1)


def test_a_paired_interval_sees_a_difference_that_two_separate_ones_hide() -> None:
    base = np.random.default_rng(0).normal(0, 10, 500)
    gain = metrics.paired_interval(base + 0.1, base)
    assert gain.mean == pytest.approx(0.1)
    assert gain.low > 0


def test_a_reliability_diagram_gives_back_the_calibration_error() -> None:
    random = np.random.default_rng(4)
    p = random.random(3000)
    y = (random.random(3000) < p**2).astype(np.float64)
    found = metrics.reliability(p, y, bins=10)
    assert found.events.sum() == 3000
    gaps = np.abs(found.predicted - found.observed) @ found.events / 3000
    assert gaps == pytest.approx(metrics.calibration_error(p, y, bins=10))


def test_an_empty_bin_of_a_reliability_diagram_is_unknown() -> None:
    found = metrics.reliability(np.array([0.1, 0.2]), np.array([0.0, 1.0]), bins=2)
    assert found.events.tolist() == [2, 0]
    assert found.observed[0] == 0.5
    assert np.isnan(found.observed[1])
