"""Hashed vocabularies: stable, within bounds, spread evenly, independent by salt."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from models.hashing import buckets, crossed


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=20), st.integers(1, 1000))
def test_every_value_has_one_place_inside(values: list[int], count: int) -> None:
    found = buckets(np.array(values), count)
    assert found.min() >= 1
    assert found.max() <= count
    again = buckets(np.array(values[::-1]), count)[::-1]
    assert found.tolist() == again.tolist()


def test_places_do_not_change_between_releases() -> None:
    # An artifact's embeddings are only worth something where the same values lead to the same rows.
    assert buckets(np.array([0, 1, 2, -1]), 1000).tolist() == [536, 466, 111, 937]


def test_neighbouring_values_spread_evenly() -> None:
    found = np.bincount(buckets(np.arange(64_000), 64) - 1, minlength=64)
    assert chisquare(found).pvalue > 1e-3


def test_another_salt_lets_other_values_meet() -> None:
    values = np.arange(10_000)
    first, second = buckets(values, 100, salt=1), buckets(values, 100, salt=2)
    assert abs((first == second).mean() - 0.01) < 0.005


def test_a_cross_tells_every_combination_and_its_order() -> None:
    left, right = (part.ravel() for part in np.meshgrid(np.arange(200), np.arange(200)))
    assert np.unique(crossed(left, right)).size == 40_000
    assert crossed(np.array([1]), np.array([2])) != crossed(np.array([2]), np.array([1]))


def test_no_bucket_is_no_vocabulary() -> None:
    with pytest.raises(ValueError, match="at least one bucket"):
        buckets(np.array([1]), 0)
