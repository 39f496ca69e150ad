"""What was done in the last seconds, in memory, bounded."""

from __future__ import annotations

import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.user import UserState
from services.gateway.activity import ITEMS_PER_USER, RecentActivity
from services.gateway.identifiers import new_recommendation_id, share_of
from services.runtime.request_ids import request_id_of


class Clock:
    """A clock a test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_just_posted_items_are_seen_until_their_time_is_over() -> None:
    clock = Clock()
    recent = RecentActivity(30, clock=clock)
    recent.note(1, 7, hidden=False)
    recent.note(1, 8, hidden=True)
    user = recent.applied(UserState(1))
    assert (user.seen.tolist(), user.hidden.tolist()) == ([7], [8])
    assert recent.applied(UserState(2)).seen.size == 0
    clock.now = 31
    assert recent.applied(UserState(1)).seen.size == 0


def test_what_features_knows_already_is_not_seen_twice() -> None:
    recent = RecentActivity(30)
    recent.note(1, 7, hidden=False)
    recent.note(1, 8, hidden=True)
    recent.note(1, 9, hidden=False)
    user = recent.applied(UserState(1, seen=np.array([5, 7], np.uint64), hidden=np.array([8], np.uint64)))
    assert (user.seen.tolist(), user.hidden.tolist()) == ([5, 7, 9], [8])


def test_hidden_item_stays_hidden_when_it_is_clicked_afterwards() -> None:
    recent = RecentActivity(30)
    recent.note(1, 7, hidden=True)
    recent.note(1, 7, hidden=False)
    assert recent.applied(UserState(1)).hidden.tolist() == [7]


@given(st.lists(st.integers(1, 2000), max_size=500))
def test_one_user_never_holds_more_than_the_bound(items: list[int]) -> None:
    recent = RecentActivity(30)
    for item in items:
        recent.note(1, item, hidden=False)
    seen = recent.applied(UserState(1)).seen
    assert np.unique(seen).size == seen.size <= ITEMS_PER_USER
    newest = list(dict.fromkeys(reversed(items)))[:ITEMS_PER_USER]
    assert set(seen.tolist()) == set(newest)


def test_recommendation_ids_are_version_7_and_sort_by_time() -> None:
    made = [new_recommendation_id() for _ in range(50)]
    assert {identifier.version for identifier in made} == {7}
    assert {identifier.variant for identifier in made} == {uuid.RFC_4122}
    moments = [identifier.int >> 80 for identifier in made]
    assert moments == sorted(moments)
    assert len(set(made)) == 50


@pytest.mark.parametrize("bad", ["", "a b", "ü", "x" * 129, "a\n"])
def test_request_id_that_is_not_visible_ascii_is_replaced(bad: str) -> None:
    assert request_id_of(bad, "") != bad
    assert request_id_of("good-1", "") == "good-1"


def test_shares_are_stable_even_and_independent_between_experiments() -> None:
    first = [share_of("ranker", user) for user in range(1, 5001)]
    second = [share_of("colour", user) for user in range(1, 5001)]
    assert first == [share_of("ranker", user) for user in range(1, 5001)]
    assert sum(share < 0.1 for share in first) == pytest.approx(500, abs=100)
    assert abs(float(np.corrcoef(first, second)[0, 1])) < 0.05
