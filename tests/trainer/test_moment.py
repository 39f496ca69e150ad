"""What people did with what came next, as the labels of a ranker's heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.trainer.data.interactions import Interactions
from services.trainer.moment import moments_before, reactions_to
from tests.trainer.small_interactions import ring


def at(seconds: list[float], values: list[float]) -> Interactions:
    """One user's events at these seconds with these values."""
    times = np.round(np.array(seconds) * 1000).astype(np.int64)
    whole = ring(users=1, length=len(seconds))
    return replace(whole, times_ms=times, values=np.array(values, np.float32))


def test_likes_begin_at_four_and_love_is_five() -> None:
    interactions = at([0, 10, 20, 30], [3.5, 4, 4.5, 5])
    found = [reactions_to(interactions, 0, last)[:2] for last in (4, 3, 2, 1)]
    assert found == [(0, 0), (1, 0), (1, 0), (1, 1)]


def test_who_returns_comes_back_in_a_later_second_within_ten_minutes() -> None:
    interactions = at([0, 0.001, 600, 1201, 1201.5], [4] * 5)
    returns = [reactions_to(interactions, 0, last)[2] for last in (5, 4, 3, 2, 1)]
    # The second event is of the first one's second; nothing later than the last two is known.
    np.testing.assert_array_equal(returns, [1, 1, 0, np.nan, np.nan])


def test_without_values_nobody_knows_what_was_liked_but_who_returned() -> None:
    liked, loved, returned = reactions_to(at([0, 60], [np.nan, np.nan]), 0, 2)
    assert np.isnan([liked, loved]).all()
    assert returned == 1


@pytest.mark.parametrize("window", [1, 3])
def test_moments_of_the_known_events_are_those_of_the_window_before_the_last(window: int) -> None:
    whole = ring(users=5)
    earlier = moments_before(whole.leave_last(1), range(1, window + 1))
    moments = moments_before(whole, range(2, window + 2))
    assert [(m.user.user_id, m.target, m.at_ms) for m in earlier] == [
        (m.user.user_id, m.target, m.at_ms) for m in moments
    ]
    # What follows the newest of them is the test's, whose time must not be a label.
    assert np.isnan([m.reactions[2] for m in earlier[:5]]).all()
    assert not np.isnan([m.reactions[2] for m in moments[:5]]).any()


def test_untimed_moments_are_as_of_the_newest_event_and_the_same_otherwise() -> None:
    whole = ring(users=3)
    for timed, untimed in zip(moments_before(whole, [1]), moments_before(whole, [1], timed=False), strict=True):
        assert untimed.at_ms == timed.user.history_times[-1] < timed.at_ms
        assert (untimed.user.user_id, untimed.target) == (timed.user.user_id, timed.target)
        np.testing.assert_array_equal(untimed.user.history, timed.user.history)
