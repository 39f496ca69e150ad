"""A place for something new."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.items import ItemTable
from services.reranker.pool import Pool
from services.reranker.rules.freshness import freshness, is_fresh
from services.reranker.rules.outcome import Outcome
from tests.retrieval.features_peer import item_rows


def any_place(taken: Sequence[int], place: int) -> bool:
    return True


def freshened(fresh: set[int], size: int = 20, n: int = 5, at_least: int = 1, reach: int = 10) -> Outcome:
    mask = np.isin(np.arange(size), list(fresh))
    return freshness(np.arange(size), n, mask, any_place, at_least=at_least, reach=reach)


def test_the_best_fresh_item_comes_in_last_but_one_and_the_last_leaves() -> None:
    outcome = freshened({7, 8})
    assert outcome.kept[:5].tolist() == [0, 1, 2, 7, 3]
    ((reason, left),) = outcome.removed.items()
    assert "fresh" in reason
    assert left.tolist() == [4]


def test_a_slate_that_has_a_fresh_item_stays_as_it_is() -> None:
    assert freshened({2, 7}).kept.tolist() == list(range(20))


def test_a_fresh_item_too_far_down_is_not_good_enough() -> None:
    assert freshened({15}).kept.tolist() == list(range(20))


def test_a_fresh_item_that_a_cap_refuses_stays_out() -> None:
    fresh = np.isin(np.arange(10), [6, 7])
    outcome = freshness(np.arange(10), 3, fresh, lambda taken, place: place != 6, at_least=1, reach=10)
    assert outcome.kept[:3].tolist() == [0, 7, 1]


def test_fresh_means_created_lately_and_little_watched() -> None:
    rows = item_rows([1, 2, 3, 4], created_days=[100, 95, 10, np.nan], event_count=[3, 500, 0, 0])
    pool = Pool.ordered(np.array([1, 2, 3, 4, 99], np.uint64), np.zeros(5, np.float32), ItemTable(rows))
    assert is_fresh(pool, now_days=101, max_age_days=30, max_events=20).tolist() == [True, False, False, False, False]


@given(
    fresh=st.sets(st.integers(0, 29)), n=st.integers(1, 12), size=st.integers(0, 30),
    at_least=st.integers(0, 4), reach=st.integers(0, 40),
)  # fmt: skip
def test_it_brings_what_was_asked_at_most_and_loses_nobody(
    fresh: set[int], n: int, size: int, at_least: int, reach: int
) -> None:
    outcome = freshened(fresh, size, n, at_least, reach)
    removed = [place for places in outcome.removed.values() for place in places.tolist()]
    assert sorted([*outcome.kept.tolist(), *removed]) == list(range(size))
    before = len(fresh & set(range(min(n, size))))
    after = len(fresh & set(outcome.kept[:n].tolist()))
    reachable = len(fresh & set(range(min(n, size), min(reach, size))))
    assert after == max(before, min(at_least, min(n, size), before + reachable)) or after == before
    assert not fresh & set(removed)
