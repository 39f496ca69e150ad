"""Candidates from fitted models over a real index."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.items import ItemTable
from models.spec import RETRIEVAL_COLUMNS
from models.user import UserState
from services.retrieval.config import SOURCES
from services.retrieval.index import Hits, VectorIndex
from services.retrieval.listing import latest, popular
from services.retrieval.retriever import Retriever
from services.retrieval.similar import similar
from services.runtime.errors import NotFound, Unavailable
from tests.retrieval.tiny_models import ITEMS, NEW, catalog

ALL = ITEMS + len(NEW)


def ids_of(*ids: int) -> NDArray[np.uint64]:
    return np.array(ids, np.uint64)


def user_of(*history: int, hidden: Sequence[int] = (), **profile: str) -> UserState:
    items = ids_of(*history)
    return UserState(
        1, profile=profile, history=items, history_times=np.arange(items.size), seen=items, hidden=ids_of(*hidden),
        history_values=np.full(items.size, np.nan, np.float32),
    )  # fmt: skip


class BrokenIndex:
    """An index whose server is away, or does not answer."""

    def __init__(self, remote: bool = False, release: threading.Event | None = None) -> None:
        self.remote = remote
        self._release = release

    def search(self, *args: Any, **options: Any) -> Hits:
        if self._release is not None:
            self._release.wait(10)
        raise Unavailable("The index is away.")


def with_index(retriever: Retriever, index: Any) -> Retriever:
    return Retriever(retriever.models, index, retriever.catalog.items, retriever.config)


def test_candidates_follow_the_taste_of_the_history(retriever: Retriever) -> None:
    candidates = retriever.retrieve(user_of(3, 6, 9, 12), 20)
    assert np.mean(candidates.ids[:15] % 3 == 0) > 0.9
    assert not np.isin(candidates.ids, [3, 6, 9, 12]).any()
    assert len(candidates) == 20


@given(
    history=st.lists(st.integers(1, ALL), unique=True, max_size=40),
    hidden=st.lists(st.integers(1, ALL + 5), max_size=10),
    exclude=st.lists(st.integers(1, ALL + 5), max_size=10),
    categories=st.lists(st.sampled_from(["Action", "comedy", "Western"]), max_size=2),
    n=st.integers(1, 120),
    context=st.integers(0, ALL + 1),
)
@settings(deadline=None, max_examples=150)
def test_a_list_is_full_distinct_allowed_and_explained(
    retriever: Retriever, history: list[int], hidden: list[int], exclude: list[int], categories: list[str],
    n: int, context: int,
) -> None:  # fmt: skip
    candidates = retriever.retrieve(user_of(*history, hidden=hidden), n, ids_of(*exclude), categories, context)
    ids = candidates.ids.tolist()
    wanted = {"Action": 0, "comedy": 1}
    allowed = set(range(1, ALL + 1)) - set(history) - set(hidden) - set(exclude) - {context}
    if categories:
        allowed &= {item for item in allowed if item % 3 in {wanted[name] for name in categories if name in wanted}}
    assert len(ids) == len(set(ids)) == min(n, len(allowed))
    assert set(ids) <= allowed
    removed = [item for items in candidates.removed.values() for item in items.tolist()]
    assert len(removed) == len(set(removed))
    assert not set(removed) & set(ids)
    reasons = {"seen": set(history), "hidden": set(hidden), "excluded": {*exclude, context}}
    for reason, items in candidates.removed.items():
        if reason in reasons:
            assert set(items.tolist()) <= reasons[reason]
    assert set(candidates.removed) <= {"seen", "hidden", "excluded", "category"}
    assert candidates.scores.shape == (len(ids), len(RETRIEVAL_COLUMNS))
    again = retriever.retrieve(user_of(*history, hidden=hidden), n, ids_of(*exclude), categories, context)
    assert again.ids.tolist() == ids


def test_reports_count_what_each_source_brought(retriever: Retriever) -> None:
    candidates = retriever.retrieve(user_of(1, 4), 30)
    assert tuple(report.source for report in candidates.reports) == SOURCES
    for place, report in enumerate(candidates.reports):
        assert report.kept == np.count_nonzero(candidates.proposed_by >> place & 1) <= report.proposed
        assert report.error == ""
    assert sum(report.kept for report in candidates.reports) >= 30


def test_every_score_is_there_whoever_proposed_the_item(retriever: Retriever) -> None:
    user = user_of(3, 6, 9)
    candidates = retriever.retrieve(user, ALL)
    vectors = retriever.models.tower.item_vectors
    known = candidates.ids <= ITEMS
    expected = vectors[candidates.ids[known].astype(np.int64) - 1] @ retriever.models.tower.encode(user)[0]
    np.testing.assert_allclose(candidates.column("two_tower")[known], expected, rtol=1e-5)
    assert np.isfinite(candidates.scores[known]).all()
    assert np.isnan(candidates.scores[~known]).all()
    transitions = [retriever.models.co_visitation.transitions(item) for item in (9, 6, 3)]
    places = np.searchsorted(retriever.models.co_visitation.item_ids, candidates.ids[known])
    np.testing.assert_array_equal(candidates.column("co_visitation_last")[known], transitions[0][places])
    np.testing.assert_allclose(candidates.column("co_visitation_last3")[known], np.sum(transitions, axis=0)[places])


def test_because_names_an_item_of_the_history_or_nothing(retriever: Retriever) -> None:
    candidates = retriever.retrieve(user_of(3, 6, 9), ALL)
    assert set(candidates.because.tolist()) <= {0, 3, 6, 9}
    spoken = candidates.column("co_visitation") > 0
    assert (candidates.because[spoken] > 0).all()
    assert (candidates.because[~spoken] == 0).all()


def test_scoring_a_list_keeps_order_and_length_with_nan_for_the_unknown(retriever: Retriever) -> None:
    user = user_of(3, 6, 9)
    retrieved = retriever.retrieve(user, 10)
    asked = np.concatenate([retrieved.ids[::-1], ids_of(9999, 3, 3)])
    scored = retriever.score(user, asked)
    np.testing.assert_array_equal(scored.ids, asked)
    np.testing.assert_allclose(scored.scores[:10], retrieved.scores[::-1], atol=1e-6)
    assert np.isnan(scored.scores[10]).all()
    assert np.isfinite(scored.scores[11:]).all()


def test_a_failing_index_costs_its_source_only_and_is_reported(retriever: Retriever) -> None:
    candidates = with_index(retriever, BrokenIndex()).retrieve(user_of(3, 6, 9), 30)
    assert len(candidates) == 30
    assert "away" in candidates.reports[0].error
    assert candidates.reports[0].proposed == candidates.reports[0].kept == 0
    assert np.isfinite(candidates.column("two_tower")[candidates.ids <= ITEMS]).all()


async def test_a_slow_remote_index_is_given_up_at_the_deadline(retriever: Retriever) -> None:
    release = threading.Event()
    try:
        slow = with_index(retriever, BrokenIndex(remote=True, release=release))
        candidates = await asyncio.wait_for(slow.retrieve_within(user_of(3, 6, 9), 30, deadline_s=0.01), 5)
        assert candidates.reports[0].error == "no answer within 10 ms"
        assert len(candidates) == 30
    finally:
        release.set()


async def test_waiting_for_sources_gives_the_same_list(retriever: Retriever) -> None:
    class Elsewhere:
        remote = True

        def __init__(self, index: VectorIndex) -> None:
            self.search = index.search

    remote = with_index(retriever, Elsewhere(retriever.index))
    expected = retriever.retrieve(user_of(3, 6), 40)
    found = await remote.retrieve_within(user_of(3, 6), 40, deadline_s=5)
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_a_stranger_gets_the_popular_of_the_segment_first(retriever: Retriever) -> None:
    candidates = retriever.retrieve(UserState(0, profile={"gender": "F", "age": "25"}), 10)
    segment = popular(retriever, 5, {"gender": "F", "age": "25"}).ids
    assert (segment % 3 == 2).all()
    assert np.isin(segment, candidates.ids).all()
    assert candidates.ids[0] in segment
    assert (candidates.because == 0).all()


def test_new_items_come_in_through_the_fresh_source_by_genre(retriever: Retriever) -> None:
    candidates = retriever.retrieve(user_of(3, 6, 9), 50)
    fresh = candidates.ids[candidates.proposed_by >> SOURCES.index("fresh") & 1 == 1]
    assert fresh.tolist() == [93]


def test_deleted_items_are_not_proposed_and_said_to_be_gone(retriever: Retriever) -> None:
    best = int(retriever.retrieve(user_of(3, 6, 9), 5).ids[0])
    items = retriever.catalog.items.updated(catalog().empty(), ids_of(best))
    candidates = retriever.updated(items).retrieve(user_of(3, 6, 9), ALL)
    assert best not in candidates.ids
    assert candidates.removed["deleted"].tolist() == [best]


def test_a_table_with_new_counts_only_keeps_the_catalog(retriever: Retriever) -> None:
    rows = catalog()
    items = retriever.catalog.items.updated(rows, ids_of())
    assert retriever.catalog.with_items(items) is not None
    assert retriever.updated(items).catalog.items is items
    assert retriever.catalog.with_items(ItemTable(rows)) is None


def test_the_item_being_looked_at_counts_as_the_newest_event_and_is_not_proposed(retriever: Retriever) -> None:
    assert not (retriever.retrieve(user_of(3), 20).ids[:10] % 3 == 1).any()
    candidates = retriever.retrieve(user_of(3), 20, context_item=7)
    assert 7 not in candidates.ids
    assert (candidates.ids[:10] % 3 == 1).any()
    assert 7 in candidates.because
    assert len(retriever.retrieve(user_of(3), 20, context_item=424242)) == 20


def test_similar_items_share_the_genre_and_leave_out_the_item_and_the_excluded(retriever: Retriever) -> None:
    candidates = similar(retriever, 6, 10, ids_of(9))
    assert np.mean(candidates.ids % 3 == 0) >= 0.9
    assert not np.isin(candidates.ids, [6, 9]).any()
    assert np.isfinite(candidates.column("two_tower")).all()


def test_similar_items_can_be_asked_of_one_category(retriever: Retriever) -> None:
    assert (similar(retriever, 6, 10, categories=["comedy"]).ids % 3 == 1).all()
    assert len(similar(retriever, 6, 10, categories=["comedy"])) == 10
    assert len(similar(retriever, 6, 10, categories=["Western"])) == 0


def test_an_item_too_new_for_the_models_is_like_items_of_its_genre(retriever: Retriever) -> None:
    candidates = similar(retriever, NEW[0], 10)
    assert (candidates.ids % 3 == NEW[0] % 3).all()
    assert [report.source for report in candidates.reports] == ["genres"]


def test_an_item_nobody_knows_has_no_similar_items(retriever: Retriever) -> None:
    with pytest.raises(NotFound, match="No source knows this item"):
        similar(retriever, 4242, 10)


def test_popular_and_latest_respect_categories(retriever: Retriever) -> None:
    assert (popular(retriever, 5, {}, ["COMEDY"]).ids % 3 == 1).all()
    assert latest(retriever, 3).ids.tolist() == [93, 92, 91]
    assert latest(retriever, 3, ["Drama"]).ids.tolist() == [92, 89, 86]
    assert latest(retriever, 3, ["Western"]).ids.size == 0
    scores = popular(retriever, 90, {}).column("popularity")
    assert (np.diff(scores) <= 0).all()
