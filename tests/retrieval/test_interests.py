"""Users of several interests: what the vector index finds for each of them, as one list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qdrant_client import QdrantClient

from models.interests import nearest_scores
from models.items import ItemTable
from models.user import UserState
from services.retrieval.index import Hits, VectorIndex
from services.retrieval.index.qdrant import QdrantIndex
from services.retrieval.query import Query
from services.retrieval.retriever import NO_IDS, Retriever
from services.retrieval.sources.two_tower import TwoTower, best_of
from tests.retrieval.tiny_models import DIMENSION, GENRES, IDS, ITEMS, TastesTower, built_index, catalog, fitted

# The local engine says that it is exact and keeps no payload indexes.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning"),
]


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Retriever]:
    """As the trainer retrieves: Qdrant's engine in process."""
    models = replace(fitted(), tower=TastesTower())
    index = built_index(models, tmp_path_factory.mktemp("index") / "shard")
    yield Retriever(models, index, ItemTable(catalog()))
    index.close()


@pytest.fixture(scope="module")
def served(offline: Retriever) -> Iterator[Retriever]:
    """The same models over a collection behind Qdrant's client."""
    index: VectorIndex = QdrantIndex(QdrantClient(":memory:", force_disable_check_same_thread=True), "items", DIMENSION)
    tower = offline.models.tower
    index.upsert(tower.item_ids, tower.item_vectors, [[GENRES[item % 3]] for item in IDS.tolist()])
    yield Retriever(offline.models, index, offline.catalog.items)
    index.close()


def user_of(*history: int) -> UserState:
    items = np.array(history, np.uint64)
    return UserState(1, history=items, history_times=np.arange(items.size), seen=items)


def query_of(retriever: Retriever, *history: int, genres: tuple[str, ...] = ()) -> Query:
    return retriever.query(user_of(*history), NO_IDS, genres, 0)


HISTORIES = st.lists(st.integers(1, ITEMS), unique=True, max_size=20)


@given(history=HISTORIES, n=st.integers(1, 60), genres=st.sampled_from([(), ("Drama",), ("Action", "Comedy")]))
@settings(deadline=None, max_examples=40)
def test_the_source_finds_the_items_nearest_to_any_interest(
    offline: Retriever, history: list[int], n: int, genres: tuple[str, ...]
) -> None:
    query = query_of(offline, *history, genres=genres)
    found = TwoTower(offline.index).propose(query, n)
    scores = np.where(query.free, query.tower_scores(np.arange(query.catalog.ids.size)), np.nan)
    order = np.argsort(-np.where(np.isnan(scores), -np.inf, scores), kind="stable")
    expected = order[: min(n, np.count_nonzero(~np.isnan(scores)))]
    assert len(set(found.rows.tolist())) == found.rows.size == expected.size
    np.testing.assert_allclose(scores[found.rows], scores[expected], atol=1e-6)


@given(history=HISTORIES, n=st.integers(1, 60))
@settings(deadline=None, max_examples=25)
def test_what_is_served_is_what_the_trainer_retrieves(
    offline: Retriever, served: Retriever, history: list[int], n: int
) -> None:
    trained, answered = (retriever.retrieve(user_of(*history), n) for retriever in (offline, served))
    assert not any(report.error for report in (*trained.reports, *answered.reports))
    assert answered.ids.tolist() == trained.ids.tolist()
    np.testing.assert_array_equal(answered.scores, trained.scores)
    np.testing.assert_array_equal(answered.proposed_by, trained.proposed_by)


def test_the_ranker_sees_the_score_of_the_nearest_interest(offline: Retriever) -> None:
    user, tower = user_of(3, 4, 5), offline.models.tower
    candidates = offline.retrieve(user, 40)
    known = candidates.ids <= ITEMS
    expected = nearest_scores(tower.item_vectors, tower.encode(user))[candidates.ids[known].astype(np.int64) - 1]
    np.testing.assert_allclose(candidates.column("two_tower")[known], expected, rtol=1e-5)
    scored = offline.score(user, candidates.ids)
    np.testing.assert_allclose(scored.column("two_tower"), candidates.column("two_tower"), rtol=1e-5)


def test_seen_items_nearer_than_the_last_are_told_of(offline: Retriever) -> None:
    query = query_of(offline, 3, 4, 5)
    assert set(query.catalog.ids[TwoTower(offline.index).propose(query, 12).removed].tolist()) == {3, 4, 5}


HITS = st.dictionaries(st.integers(0, 30), st.floats(-1, 1, width=32), max_size=15)


@given(lists=st.lists(HITS, min_size=1, max_size=5), k=st.integers(1, 20))
def test_a_point_of_several_lists_comes_once_with_its_best_score(lists: list[dict[int, float]], k: int) -> None:
    hits = [Hits(np.array([*one], np.uint64), np.array([*one.values()], np.float32)) for one in lists]
    found = best_of(hits, k)
    best = {item: max(one[item] for one in lists if item in one) for one in lists for item in one}
    expected = sorted(best, key=lambda item: (-best[item], item))[:k]
    assert found.ids.tolist() == expected
    np.testing.assert_array_equal(found.scores, np.array([best[item] for item in expected], np.float32))


def test_one_interest_is_one_search(tmp_path: Path) -> None:
    class OneAtATime:
        remote = False

        def __init__(self, index: VectorIndex) -> None:
            self.search = index.search

    models = fitted()
    index = built_index(models, tmp_path / "shard")
    whole = Retriever(models, index, ItemTable(catalog()))
    query = query_of(whole, 3, 6)
    alone: Any = OneAtATime(index)
    rows = TwoTower(alone).propose(query, 10).rows
    hits = index.search(query.interests[0], 10, exclude=query.catalog.ids[query.barred])
    assert query.catalog.ids[rows].tolist() == hits.ids.tolist()
    index.close()
