"""The sources that look at what was liked, at makers, and at what goes together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from models.items import ItemTable
from models.user import UserState
from services.retrieval.catalog import Catalog
from services.retrieval.query import Query
from services.retrieval.retriever import NO_IDS, Retriever
from services.retrieval.sources.because_you_watched import EXACT_ITEMS, BecauseYouWatched
from services.retrieval.sources.creators import Creators
from services.retrieval.sources.ease import EaseSource
from tests.retrieval.tiny_models import GENRES, built_index, catalog, fitted


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    models = fitted()
    return Retriever(
        models, built_index(models, Path(tmp_path_factory.mktemp("index")) / "shard"), ItemTable(catalog())
    )


def query_of(retriever: Retriever, history: list[int], values: list[float] | None = None) -> Query:
    rated = np.array(values or [np.nan] * len(history), np.float32)
    ids = np.array(history, np.uint64)
    return retriever.query(UserState(1, history=ids, history_values=rated, seen=ids), NO_IDS, (), 0)


def genres_of(query: Query, rows: NDArray[np.int64]) -> set[str]:
    return {GENRES[int(item) % 3] for item in query.catalog.ids[rows]}


def test_ease_proposes_what_goes_with_the_history(retriever: Retriever) -> None:
    query = query_of(retriever, [3, 6, 9])
    found = EaseSource().propose(query, 5)
    assert found.rows.size == 5
    assert genres_of(query, found.rows) == {"Action"}
    assert not EaseSource().propose(query_of(retriever, []), 5).rows.size


@pytest.mark.parametrize("items", [1, EXACT_ITEMS + 1], ids=["compared", "searched"])
def test_neighbours_of_each_liked_item_come_in_turn(retriever: Retriever, items: int) -> None:
    source = BecauseYouWatched(retriever.index, items)
    query = query_of(retriever, [3, 4, 5], [5.0, 5.0, 1.0])
    rows = source.propose(query, 6).rows
    assert rows.size == 6
    # The newest liked item is 4, a comedy, then 3; item 5 was not liked.
    assert [GENRES[int(item) % 3] for item in query.catalog.ids[rows]] == ["Comedy", "Action"] * 3
    assert not np.isin([3, 4, 5], query.catalog.ids[rows]).any()


def test_comparing_and_searching_find_the_same(retriever: Retriever) -> None:
    query = query_of(retriever, [3, 4, 5, 11])
    compared, searched = (BecauseYouWatched(retriever.index, items).propose(query, 9) for items in (1, EXACT_ITEMS + 1))
    np.testing.assert_array_equal(compared.rows, searched.rows)


def test_nothing_is_near_where_nothing_was_liked(retriever: Retriever) -> None:
    source = BecauseYouWatched(retriever.index, 1)
    assert not source.propose(query_of(retriever, [3, 4], [1.0, 2.0]), 6).rows.size
    assert source.propose(query_of(retriever, [3, 4]), 6).rows.size == 6  # who does not rate is taken at their word


def test_makers_that_a_user_keeps_turning_to_come_first() -> None:
    rows = catalog()
    makers = [("Agnès Varda",) if item in (10, 20, 30) else (f"maker of {item}",) for item in rows.ids.tolist()]
    models = fitted()
    table = ItemTable(replace(rows, creators=makers))
    made = Catalog(table, models.ids)
    query = Query(
        UserState(1, history=np.array([20, 50, 10], np.uint64)), models, made, np.zeros(made.ids.size, np.uint8), None
    )
    found = made.ids[Creators(made).propose(query, 3).rows]
    assert set(found.tolist()) == {10, 20, 30}


def test_genres_stand_in_for_makers(retriever: Retriever) -> None:
    query = query_of(retriever, [3, 6, 9])
    found = Creators(retriever.catalog).propose(query, 8).rows
    assert genres_of(query, found) == {"Action"}
    assert not Creators(retriever.catalog).propose(query_of(retriever, []), 8).rows.size


@pytest.mark.parametrize(("stars", "genre"), [([5.0, 1.0], "Action"), ([1.0, 5.0], "Comedy")])
def test_who_made_what_was_liked_is_followed_more(retriever: Retriever, stars: list[float], genre: str) -> None:
    query = query_of(retriever, [3, 4], stars)
    found = Creators(retriever.catalog).propose(query, 1).rows
    assert genres_of(query, found) == {genre}
