from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import spearmanr

from models.metrics import graded_ndcg
from services.trainer.gate.lists import ndcg, places, rank_correlation

SIZES = np.array([5, 3], np.int64)


def test_ndcg_of_the_example_of_the_paper() -> None:
    # Jaervelin & Kekaelaeinen's gains 3, 2, 3, 0, 1, 2 with discount 1 / log2(1 + place): DCG 6.861 of 7.141.
    gains = np.array([3.0, 2, 3, 0, 1, 2])
    found = ndcg(-np.arange(6.0), gains, np.array([6], np.int64))
    assert found[0] == pytest.approx(6.8611 / 7.1410, abs=1e-4)


def test_every_slate_is_graded_as_if_alone() -> None:
    random = np.random.default_rng(0)
    scores, grades = random.random(8), random.integers(0, 3, 8).astype(float)
    grades[:5][0] = grades[5:][0] = 1
    expected = [graded_ndcg(scores[part], grades[part], 10) for part in (slice(5), slice(5, 8))]
    np.testing.assert_allclose(ndcg(scores, 2**grades - 1, SIZES), expected)


def test_a_tie_is_worth_the_mean_of_all_its_orders() -> None:
    gains = np.array([0.0, 1.0, 0.0])
    orders = [ndcg(-np.array(order, float), gains, np.array([3], np.int64), k=2)[0] for order in permutations(range(3))]
    assert ndcg(np.zeros(3), gains, np.array([3], np.int64), k=2)[0] == pytest.approx(np.mean(orders))


def test_a_slate_without_a_gain_has_no_ndcg() -> None:
    found = ndcg(np.arange(8.0), np.array([0.0] * 5 + [1, 0, 0]), SIZES)
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(0.5)  # third place


def test_correlation_is_spearmans_in_each_slate() -> None:
    random = np.random.default_rng(0)
    ours, theirs = np.array([1.0, 3, 3, 0, 2, 5, 5, 1]), random.random(8)
    expected = [spearmanr(ours[part], theirs[part]).statistic for part in (slice(5), slice(5, 8))]
    np.testing.assert_allclose(rank_correlation(ours, theirs, SIZES), expected)


def test_scores_that_tell_nothing_apart_correlate_with_nothing() -> None:
    assert rank_correlation(np.zeros(8), np.arange(8.0), SIZES).tolist() == [0, 0]
    assert np.isnan(rank_correlation(np.zeros(8), np.zeros(8), SIZES)).all()


def test_equals_share_their_place() -> None:
    assert places(np.array([1.0, 1.0, 5.0]), np.array([3], np.int64)).place.tolist() == [2.5, 2.5, 1.0]
