from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.list_metrics import coverage, diversity, exposure, gini, jackknife, novelty

LISTS = np.array([[0, 1], [0, 2], [0, -1]])


def test_exposure_counts_lists_and_leaves_out_the_end_of_short_ones() -> None:
    assert exposure(LISTS, 5).tolist() == [3, 1, 1, 0, 0]
    assert coverage(LISTS, 5) == pytest.approx(3 / 5)


def test_the_gini_index_of_one_to_five_is_four_fifteenths() -> None:
    assert gini(np.array([3, 1, 5, 2, 4])) == pytest.approx(4 / 15)


def test_the_gini_index_is_zero_for_equals_and_near_one_for_a_monopoly() -> None:
    assert gini(np.full(7, 3)) == pytest.approx(0)
    assert gini(np.array([0] * 99 + [8])) == pytest.approx(0.99)
    assert np.isnan(gini(np.zeros(3)))


@given(st.lists(st.integers(0, 50), min_size=2, max_size=30).filter(any))
def test_the_gini_index_is_half_the_relative_mean_difference(shown: list[int]) -> None:
    x = np.array(shown, np.float64)
    assert gini(x) == pytest.approx(np.abs(x[:, None] - x).mean() / (2 * x.mean()))


def test_an_item_of_a_quarter_of_the_users_tells_two_bits() -> None:
    found = novelty(LISTS, np.array([8, 2, 0]), users=8)
    # 0 bits for the item of all eight; 2 for that of two; 3 for that of nobody, as if it were of one.
    assert found.tolist() == pytest.approx([1.0, 1.5, 0.0])
    assert np.isnan(novelty(np.array([[-1, -1]]), np.array([1]), users=8)).all()


def test_diversity_is_the_mean_over_pairs() -> None:
    genres = np.array([[1, 0], [1, 1], [0, 1], [0, 0]], np.float32)
    found = diversity(np.array([[0, 1, 2], [0, 2, -1], [3, 0, -1], [1, -1, -1]]), genres)
    assert found[0] == pytest.approx(((1 - 2**-0.5) + 1 + (1 - 2**-0.5)) / 3)
    assert found[1:3].tolist() == pytest.approx([1.0, 1.0])
    assert np.isnan(found[3])


def test_the_jackknife_of_a_mean_has_its_standard_error() -> None:
    values = np.random.default_rng(0).integers(0, 100, (5000, 1))
    found = jackknife(lambda lists: float(lists.mean()), values)
    error = values.std() / np.sqrt(values.size)
    assert found.mean == values.mean()
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.3)


def test_the_interval_of_the_coverage_lies_around_it() -> None:
    lists = np.random.default_rng(1).zipf(1.5, (400, 10)) % 1000
    found = jackknife(lambda some: coverage(some, 1000), lists)
    assert found.low < found.mean < found.high
