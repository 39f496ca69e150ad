"""Whatever is proposed, what must not be shown is not shown, and everything removed is accounted for."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.items import ItemTable
from models.user import UserState
from services.gateway.catalog import Catalog
from services.gateway.fallback import Fallbacks
from services.gateway.filters import Filters
from services.gateway.nouns import Ask, Candidates
from services.runtime.itemfeed import ItemFeed
from tests.gateway.films import GENRES, item_rows

IDS = st.lists(st.integers(1, 30), max_size=12, unique=True)


class FullFeed(ItemFeed):
    """A feed of thirty items."""

    def __init__(self) -> None:
        super().__init__()
        self.table = ItemTable(item_rows(tuple(range(1, 31))), 1)


def array(ids: list[int]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(ids, np.uint64)


@given(IDS, IDS, IDS, IDS, st.lists(st.integers(1, 40), max_size=40, unique=True))
def test_kept_and_removed_are_all_there_was(
    seen: list[int], hidden: list[int], excluded: list[int], deleted: list[int], proposed: list[int]
) -> None:
    catalog = Catalog(FullFeed())
    for number in deleted:
        catalog.delete(number)
    user = UserState(1, seen=array(seen), hidden=array(hidden))
    ask = Ask(n=10, deadline_ms=200, exclude=frozenset(excluded))
    kept = Filters(catalog)(ask, user, Candidates.of_ids(array(proposed), "popularity"))
    blocked = {*seen, *hidden, *excluded, *deleted, *range(31, 41)}
    assert kept.ids.tolist() == [number for number in proposed if number not in blocked]
    removed = [number for group in kept.removed for number in group.ids.tolist()]
    assert sorted([*kept.ids.tolist(), *removed]) == sorted(proposed)
    assert kept.proposed_by.size == kept.because.size == kept.scores.shape[0] == kept.ids.size


@given(IDS, IDS, IDS, IDS, st.sampled_from([(), *((genre,) for genre in GENRES)]), st.integers(1, 30))
def test_fallback_shows_the_first_n_that_may_be_shown(
    seen: list[int], hidden: list[int], excluded: list[int], deleted: list[int], categories: tuple[str, ...], n: int
) -> None:
    catalog = Catalog(FullFeed())
    for number in deleted:
        catalog.delete(number)
    user = UserState(1, seen=array(seen), hidden=array(hidden))
    ask = Ask(n=n, deadline_ms=200, exclude=frozenset(excluded), categories=categories)
    blocked = {*seen, *hidden, *excluded, *deleted}
    allowed = [i for i in range(1, 31) if i not in blocked and (not categories or GENRES[i % 3] in categories)]
    fallbacks = Fallbacks(catalog, Filters(catalog))
    assert fallbacks.popular(ask, user, n).ids.tolist() == allowed[:n]
    assert fallbacks.latest(ask, user, n).ids.tolist() == allowed[:n]


def test_reasons_are_told_apart() -> None:
    catalog = Catalog(FullFeed())
    catalog.delete(4)
    user = UserState(1, seen=array([1, 2]), hidden=array([2]))
    ask = Ask(n=10, deadline_ms=200, exclude=frozenset({3}))
    kept = Filters(catalog)(ask, user, Candidates.of_ids(array([1, 2, 3, 4, 5])))
    assert {group.reason: group.ids.tolist() for group in kept.removed} == {
        "seen": [1], "hidden": [2], "excluded": [3], "deleted": [4]
    }  # fmt: skip
    assert kept.ids.tolist() == [5]
