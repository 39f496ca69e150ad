"""Genre and creator caps, and how they give way."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.items import ItemTable
from services.reranker.pool import Pool
from services.reranker.rules.caps import Cap, Capped, capped
from services.reranker.rules.creator_cap import CreatorCap
from services.reranker.rules.genre_cap import GenreCap
from tests.retrieval.features_peer import item_rows


def pool_of(genres: list[str], creators: list[str]) -> Pool:
    """One candidate a letter pair, best first; "" is none."""
    ids = list(range(1, len(genres) + 1))
    table = ItemTable(item_rows(ids, [[*g] for g in genres], [[*c] for c in creators]))
    return Pool.ordered(np.array(ids, np.uint64), -np.array(ids, np.float32), table)


def slate_of(genres: list[str], creators: list[str], n: int, limit: int) -> Capped:
    pool = pool_of(genres, creators)
    caps: list[Cap] = [GenreCap(pool, limit), CreatorCap(pool, limit)]
    return capped(np.arange(len(genres)), n, caps)


def test_the_third_of_a_genre_makes_room_and_is_named() -> None:
    result = slate_of(["D", "D", "D", "C"], [""] * 4, n=3, limit=2)
    assert result.kept.tolist() == [0, 1, 3]
    assert result.removed == {"genre_cap": {"more than 2 of D": [2]}}
    assert not result.relaxed


def test_a_genre_set_is_a_set_of_its_own_and_no_genre_is_never_capped() -> None:
    assert slate_of(["D", "DC", "CD", "", "", ""], [""] * 6, n=5, limit=1).kept.tolist() == [0, 1, 3, 4, 5]


def test_each_creator_of_an_item_counts() -> None:
    result = slate_of([""] * 4, ["xy", "yz", "x", "z"], n=2, limit=1)
    assert result.kept[:2].tolist() == [0, 3]
    assert result.removed == {"creator_cap": {"more than 1 by y": [1], "more than 1 by x": [2]}}


def test_genres_give_way_before_creators() -> None:
    result = slate_of(["D", "D", "D"], ["x", "x", "y"], n=2, limit=1)
    assert result.kept.tolist() == [0, 2]
    assert result.relaxed == {"genre_cap": [2]}


def test_what_was_not_looked_at_follows_in_order() -> None:
    assert slate_of(["D", "D", "C", "B", "A"], [""] * 5, n=2, limit=1).kept.tolist() == [0, 2, 3, 4]


@given(
    items=st.lists(
        st.tuples(st.sampled_from(["", "a", "b", "ab"]), st.sampled_from(["", "x", "y", "xy"])), max_size=40
    ),
    n=st.integers(1, 12),
    limit=st.integers(1, 4),
)
def test_caps_hold_or_say_that_they_gave_way_and_lose_nobody(items: list[tuple[str, str]], n: int, limit: int) -> None:
    genres, creators = [g for g, _ in items], [c for _, c in items]
    result = slate_of(genres, creators, n, limit)
    removed = [place for reasons in result.removed.values() for places in reasons.values() for place in places]
    assert sorted([*result.kept.tolist(), *removed]) == list(range(len(items)))
    slate = result.kept[:n].tolist()
    assert len(slate) == min(n, len(items))
    by_genres = Counter(frozenset(genres[place]) for place in slate if genres[place])
    by_creator = Counter(creator for place in slate for creator in creators[place])
    if "genre_cap" not in result.relaxed:
        assert max(by_genres.values(), default=0) <= limit
    if "creator_cap" not in result.relaxed:
        assert max(by_creator.values(), default=0) <= limit
