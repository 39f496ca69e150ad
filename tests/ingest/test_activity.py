from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.user import HISTORY_LENGTH
from services.ingest.activity import (
    DAY_US,
    HIDDEN_LENGTH,
    RECENT_HALF_LIFE_DAYS,
    SEEN_LENGTH,
    Event,
    ItemActivity,
    UserActivity,
    apply,
)

TYPES = ("click", "watch", "like", "dislike", "hide", "follow", "purchase")

_event = st.builds(
    Event,
    type=st.sampled_from(TYPES),
    user_id=st.just(1),
    item_id=st.integers(1, 12),
    ts_us=st.integers(0, 400).map(lambda day: day * DAY_US),
    value=st.none() | st.sampled_from([0.5, 3.0, 4.0, 5.0, 250.0]),
)


def _user(*events: Event) -> UserActivity:
    state = UserActivity()
    for event in events:
        state = apply(state, event)
    return state


def _watch(item_id: int, day: float, value: float | None = None) -> Event:
    return Event("watch", 1, item_id, int(day * DAY_US), value)


@given(st.lists(_event, max_size=40), st.randoms(use_true_random=False))
def test_events_in_any_order_give_the_same_state(events: list[Event], shuffler: random.Random) -> None:
    shuffled = events.copy()
    shuffler.shuffle(shuffled)
    in_order, mixed = _user(*sorted(events, key=lambda event: event.ts_us)), _user(*shuffled)
    assert mixed.counts.recent_count == pytest.approx(in_order.counts.recent_count)
    assert mixed.counts.value_sum == pytest.approx(in_order.counts.value_sum)
    for name in ("event_count", "like_count", "judged_count", "value_count", "last_seen_us"):
        assert getattr(mixed.counts, name) == getattr(in_order.counts, name)
    assert repr(mixed.history) == repr(in_order.history)  # NaN equals NaN
    assert set(mixed.exclusions.seen) == set(in_order.exclusions.seen)
    assert set(mixed.exclusions.hidden) == set(in_order.exclusions.hidden)
    assert mixed.updated_us == in_order.updated_us


@pytest.mark.parametrize("seed", range(3))
def test_a_history_that_overflows_is_the_same_in_any_order(seed: int) -> None:
    draw = random.Random(seed)
    times = [draw.randrange(4000) * 500 for _ in range(900)]  # half milliseconds: many share one
    events = [Event("watch", 1, draw.randrange(600), at, draw.choice([None, 1.0, 4.5])) for at in times]
    in_order = _user(*sorted(events, key=lambda event: event.ts_us)).history
    draw.shuffle(events)
    assert len(in_order.items) == HISTORY_LENGTH
    assert repr(_user(*events).history) == repr(in_order)


@given(st.lists(_event, max_size=60))
def test_a_history_is_sorted_bounded_and_names_an_item_once(events: list[Event]) -> None:
    history = _user(*events).history
    assert list(history.times_ms) == sorted(history.times_ms)
    assert len(set(history.items)) == len(history.items) == len(history.values) <= HISTORY_LENGTH
    assert set(history.items) <= set(_user(*events).exclusions.seen)


def test_one_event_a_half_life_ago_counts_half() -> None:
    state = _user(_watch(1, 0), _watch(2, RECENT_HALF_LIFE_DAYS))
    assert state.counts.recent_count == pytest.approx(1.5)
    late = apply(state, _watch(3, 0))
    assert late.counts.recent_count == pytest.approx(2.0)
    assert late.counts.last_seen_us == state.counts.last_seen_us


def test_rates_are_drawn_towards_the_prior() -> None:
    counts = _user(_watch(1, 1, 5.0), _watch(2, 2, 2.0)).counts
    assert counts.like_rate == pytest.approx((1 + 2.5) / (2 + 5))
    assert counts.mean_value == pytest.approx((7 + 17.5) / (2 + 5))
    assert UserActivity().counts.mean_value == 3.5


def test_a_like_is_a_like_or_a_rating_of_four() -> None:
    likes = [Event("like", 1, 1, 1), _watch(2, 1, 4.0), _watch(3, 1, 3.5), _watch(4, 1), Event("dislike", 1, 5, 1)]
    counts = _user(*likes).counts
    assert (counts.like_count, counts.judged_count, counts.event_count) == (2, 4, 5)


def test_a_price_or_a_duration_is_not_a_rating() -> None:
    counts = _user(Event("purchase", 1, 1, 1, 4.5), _watch(2, 1, 3600.0), _watch(3, 1, math.nan)).counts
    assert (counts.value_count, counts.like_count, counts.judged_count) == (0, 0, 0)


def test_a_hide_hides_and_counts_nothing() -> None:
    state = _user(Event("hide", 1, 9, 5))
    assert state.exclusions.hidden == (9,)
    assert state.exclusions.seen == ()
    assert state.history.items == ()
    assert state.counts.event_count == 0
    assert apply(ItemActivity(), Event("hide", 1, 9, 5)).counts.event_count == 0


def test_a_dislike_is_seen_and_not_history() -> None:
    state = _user(Event("dislike", 1, 9, 5))
    assert state.exclusions.seen == (9,)
    assert state.history.items == ()


def test_an_item_stands_at_its_newest_event() -> None:
    history = _user(_watch(1, 1), _watch(2, 2), _watch(1, 3, 5.0), _watch(1, 0, 2.0)).history
    assert history.items == (2, 1)
    assert history.values[1] == 5.0


def test_lists_keep_the_newest_within_their_bounds() -> None:
    watched = _user(*(_watch(number, number) for number in range(1, SEEN_LENGTH + 3)))
    assert watched.history.items == tuple(range(SEEN_LENGTH + 3 - HISTORY_LENGTH, SEEN_LENGTH + 3))
    assert watched.exclusions.seen == tuple(range(3, SEEN_LENGTH + 3))
    hidden = _user(*(Event("hide", 1, number, number) for number in range(1, HIDDEN_LENGTH + 2)))
    assert hidden.exclusions.hidden == tuple(range(2, HIDDEN_LENGTH + 2))
