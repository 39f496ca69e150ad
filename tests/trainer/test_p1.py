"""The protocol itself: ranks, ties, exclusion, intervals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from services.trainer.p1 import METRICS, columns_of, compare_ranks, evaluate_ranks, judge, ranks_of, ranks_table
from tests.trainer.small_interactions import small


class _Fixed:
    """The same scores for everybody."""

    def __init__(self, *scores: float) -> None:
        self._scores = np.array(scores, np.float32)

    def scores(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.tile(self._scores, (users.size, 1))


def test_the_history_is_no_candidate_and_the_order_of_the_catalog_is_kept() -> None:
    interactions = small({1: [10, 20, 30]}, catalog=[40, 30, 20, 10])
    assert ranks_of(_Fixed(0.5, 0.6, 0.9, 0.8), interactions).tolist() == [1.0]
    assert ranks_of(_Fixed(0.7, 0.6, 0.9, 0.8), interactions).tolist() == [2.0]


def test_ties_share_their_mean_rank() -> None:
    interactions = small({1: [10, 30]}, catalog=[10, 20, 30, 40, 50])
    assert ranks_of(_Fixed(9, 1, 1, 1, 0), interactions).tolist() == [2.0]
    assert ranks_of(_Fixed(9, 1, 1, 0, 0), interactions).tolist() == [1.5]


def test_users_with_one_event_have_no_target() -> None:
    interactions = small({1: [10], 2: [10, 20], 3: [20, 10]}, catalog=[10, 20, 30])
    assert ranks_of(_Fixed(1, 2, 3), interactions).tolist() == [2.0, 2.0]


def test_an_event_with_a_strange_item_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="Item 7 has events"):
        columns_of(np.array([9, 5], np.uint64), np.array([5, 7], np.uint64))


def test_the_metrics_of_known_ranks() -> None:
    found = evaluate_ranks(np.array([1.0, 3.0, 10.5, 50.0, 200.0, np.inf]))
    assert found["hr@10"] == pytest.approx(2 / 6)
    assert found["ndcg@10"] == pytest.approx((1 + 0.5) / 6)
    assert found["hr@50"] == pytest.approx(4 / 6)
    assert found["hr@200"] == pytest.approx(5 / 6)
    assert set(found) == {name + suffix for name in METRICS for suffix in ("", "_low", "_high")}


def test_the_interval_has_the_width_of_the_binomial() -> None:
    ranks = np.where(np.arange(6040) % 4 == 0, 1.0, 99.0)
    found = evaluate_ranks(ranks)
    error = np.sqrt(0.25 * 0.75 / 6040)
    assert found["hr@10"] - found["hr@10_low"] == pytest.approx(1.96 * error, rel=0.15)
    assert found["hr@10_high"] - found["hr@10"] == pytest.approx(1.96 * error, rel=0.15)


def test_a_paired_comparison_sees_a_small_steady_gain() -> None:
    draws = np.random.default_rng(0)
    others = draws.integers(1, 40, size=2000).astype(np.float64)
    ranks = np.where(draws.random(2000) < 0.03, 1.0, others)
    gain = compare_ranks(ranks, others)
    apart = evaluate_ranks(ranks), evaluate_ranks(others)
    assert gain["hr@10_low"] > 0
    assert apart[0]["hr@10_low"] < apart[1]["hr@10_high"]


def test_a_paired_comparison_needs_the_same_users() -> None:
    with pytest.raises(ValueError, match="same users"):
        compare_ranks(np.ones(3), np.ones(4))


def test_the_table_has_a_row_per_model() -> None:
    assert ranks_table({"a": np.ones(5), "b": np.full(5, 20.0)}).row_count == 2


def test_the_list_is_the_best_of_what_was_not_seen() -> None:
    interactions = small({1: [10, 20, 30], 2: [30, 20]}, catalog=[40, 30, 20, 10])
    judged = judge(_Fixed(0.5, 0.6, 0.9, 0.8), interactions)
    assert judged.lists[:, :3].tolist() == [[1, 0, -1], [2, 3, 0]]
    assert judged.ranks.tolist() == [1.0, 1.0]


def test_the_list_of_a_large_catalog_is_ten_long_with_ties_in_its_order() -> None:
    catalog = list(range(1, 41))
    interactions = small({1: [1, 2]}, catalog)
    scores = [float(item % 2) for item in catalog]
    assert judge(_Fixed(*scores), interactions).lists.tolist() == [list(range(2, 22, 2))]


def test_a_sample_of_the_users_is_judged_like_all_of_them() -> None:
    interactions = small({user: [10, 20 + user, 30 - user] for user in range(5)}, list(range(10, 31)))
    scorer = _Fixed(*np.random.default_rng(0).random(21).tolist())
    every, some = judge(scorer, interactions), judge(scorer, interactions, np.array([3, 1]))
    assert some.ranks.tolist() == every.ranks[[3, 1]].tolist()
    np.testing.assert_array_equal(some.lists, every.lists[[3, 1]])
