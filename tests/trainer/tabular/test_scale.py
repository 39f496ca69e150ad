"""Values as ratings of 1 to 5 of which 4 is a like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.activity import LIKE_VALUE, MAX_RATING
from services.runtime.errors import SettingsError
from services.trainer.data.tabular.scale import Scale


def _ratings(scale: Scale, *values: float) -> list[float]:
    return [round(value, 4) for value in scale.ratings(np.array(values)).tolist()]


def test_stars_stay_what_they_are() -> None:
    assert _ratings(Scale(), 1, 2.5, 5) == [1, 2.5, 5]
    assert _ratings(Scale.of("1..5", None), 1, 2.5, 4, 5) == [1, 2.5, 4, 5]


def test_a_longer_scale_is_drawn_together_and_its_like_is_where_it_is_told() -> None:
    assert _ratings(Scale.of("1..10", None), 1, 5.5, 10) == [1, 3, 5]
    assert _ratings(Scale.of("1..10", 8), 1, 8, 9, 10) == [1, 4, 4.5, 5]
    assert _ratings(Scale.of("0..1", None), 0, 1) == [1, 5]
    assert _ratings(Scale.of("-1..1", 1), -1, 0, 1) == [1, 2.5, 5]


def test_an_amount_has_no_end_but_a_like() -> None:
    assert _ratings(Scale.of("", 8), 0, 4, 8, 16, 8e9) == [1, 2.5, 4, 4.5, 5]


def test_what_lies_outside_the_scale_is_no_rating() -> None:
    assert np.isnan(Scale.of("1..10", None).ratings(np.array([0.0, 11.0, np.nan]))).all()


@given(
    st.lists(st.floats(0, 100), min_size=2, max_size=30),
    st.floats(0.5, 100),
    st.booleans(),
)
def test_every_way_keeps_the_order_and_the_like(values: list[float], liked: float, bounded: bool) -> None:
    scale = Scale((0.0, 100.0), liked) if bounded else Scale(None, liked)
    given_values = np.sort(np.array([*values, liked]))
    ratings = scale.ratings(given_values)
    assert (np.diff(ratings) >= -1e-9).all()
    assert ratings.min() >= 1 - 1e-9
    assert ratings.max() <= MAX_RATING + 1e-9
    np.testing.assert_array_equal(ratings >= LIKE_VALUE - 1e-9, given_values >= liked * (1 - 1e-9))


@pytest.mark.parametrize(("low", "high"), [(1, 10), (0, 1), (-1, 5), (1, 4000)])
def test_values_that_nobody_explained_are_refused_with_the_ways_out(low: float, high: float) -> None:
    with pytest.raises(
        SettingsError, match=rf"'plays' holds values from {low} to {high}.*--scale.*--liked.*--value none"
    ):
        Scale().require_stars("plays", low, high)
    Scale().require_stars("stars", 0.5, 5)
    Scale.of("", 3).require_stars("plays", low, high)


@pytest.mark.parametrize(("scale", "liked"), [("ten", None), ("10..1", None), ("1..10", 11), ("1..10", 1), ("", 0)])
def test_a_scale_that_is_none_is_refused(scale: str, liked: float | None) -> None:
    with pytest.raises(SettingsError, match=r"--scale|--liked"):
        Scale.of(scale, liked)
