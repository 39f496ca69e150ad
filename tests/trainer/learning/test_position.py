"""The examination curve is found again from clicks that it caused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.trainer.learning.position import LEAST, MOST, examination

SLATES, SLATE, POOL = 6000, 10, 25


def clicks_of(
    curve: NDArray[np.float64], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Scores, positions and clicks of slates that follow the scores, places looked at by the curve."""
    random = np.random.default_rng(seed)
    scores = -np.sort(-random.normal(size=(SLATES, POOL)), axis=1)[:, : curve.size]
    scores = scores + random.normal(0, 0.8, (SLATES, 1))
    relevance = 1 / (1 + np.exp(-(1.3 * scores - 1.5)))
    clicked = random.random(scores.shape) < curve * relevance
    return scores.reshape(-1), np.tile(np.arange(1, curve.size + 1), SLATES), clicked.reshape(-1)


@pytest.mark.parametrize("eta", [0.5, 1.0, 2.0])
def test_a_power_of_the_place_is_recovered(eta: float) -> None:
    curve = np.power(np.arange(1.0, SLATE + 1), -eta)
    found = examination(*clicks_of(curve, seed=0))
    np.testing.assert_allclose(found, curve, atol=0.08)
    # What the clicks alone suggest is much steeper, for what stands below is wanted less.
    scores, positions, clicked = clicks_of(curve, seed=0)
    naive = np.array([clicked[positions == k].mean() for k in range(1, SLATE + 1)])
    naive /= naive[0]
    assert np.abs(found - curve).mean() < np.abs(naive - curve).mean() / 2


@settings(max_examples=15, derandomize=True, deadline=None)
@given(st.lists(st.floats(0.15, 1.0), min_size=4, max_size=8), st.integers(0, 1000))
def test_any_curve_is_recovered_monotone_or_not(below: list[float], seed: int) -> None:
    curve = np.array([1.0, *below])
    np.testing.assert_allclose(examination(*clicks_of(curve, seed)), curve, atol=0.13)


def test_the_curve_is_bounded_and_the_top_is_one() -> None:
    random = np.random.default_rng(0)
    positions = np.tile(np.arange(1, 5), 50)
    scores = random.normal(size=200)
    nobody_below = examination(scores, positions, positions == 1)
    assert nobody_below.tolist() == [1.0, LEAST, LEAST, LEAST]
    nobody_at_the_top = examination(scores, positions, positions == 3)
    assert nobody_at_the_top[0] == 1.0
    assert nobody_at_the_top.max() == MOST


def test_without_clicks_or_rows_every_place_is_looked_at_alike() -> None:
    assert examination(np.zeros(3), np.array([1, 2, 3]), np.zeros(3, bool)).tolist() == [1, 1, 1]
    assert examination(np.empty(0), np.empty(0, np.int64), np.empty(0, bool)).tolist() == [1]


def test_a_place_nothing_was_shown_at_takes_the_value_of_the_place_before() -> None:
    scores, positions, clicked = clicks_of(np.array([1.0, 0.5, 0.4, 0.3]), seed=1)
    kept = positions != 3
    found = examination(scores[kept], positions[kept], clicked[kept])
    assert found[2] == found[1]
