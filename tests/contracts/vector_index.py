"""What every vector index does. A backend's test class inherits this and provides `index`: empty, of 8 dimensions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from services.retrieval.index import VectorIndex

DIMENSION = 8


def unit_vectors(count: int, seed: int = 0) -> NDArray[np.float32]:
    """(count, DIMENSION) random directions."""
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def ids_of(*ids: int) -> NDArray[np.uint64]:
    return np.array(ids, np.uint64)


class VectorIndexContract:
    """Behaviour, not speed."""

    @pytest.fixture
    def filled(self, index: VectorIndex) -> VectorIndex:
        """300 points with ids 1..300; odd ones are Comedy, those divisible by 3 are Drama."""
        ids = np.arange(1, 301, dtype=np.uint64)
        genres = [[*(["Comedy"] if i % 2 else []), *(["Drama"] if i % 3 == 0 else [])] for i in range(1, 301)]
        index.upsert(ids, unit_vectors(300), genres)
        return index

    def exact(self, query: NDArray[np.float32], n: int, allowed: NDArray[np.uint64]) -> list[int]:
        scores = unit_vectors(300)[allowed.astype(np.int64) - 1] @ query
        return [int(item) for item in allowed[np.argsort(-scores, kind="stable")[:n]]]

    def test_an_empty_index_finds_nothing(self, index: VectorIndex) -> None:
        hits = index.search(unit_vectors(1)[0], 5)
        assert hits.ids.shape == hits.scores.shape == (0,)
        assert hits.ids.dtype == np.uint64
        assert index.count() == 0

    def test_the_nearest_come_first_with_their_dot_products(self, filled: VectorIndex) -> None:
        query = unit_vectors(1, seed=1)[0]
        hits = filled.search(query, 20)
        assert hits.ids.tolist() == self.exact(query, 20, np.arange(1, 301, dtype=np.uint64))
        np.testing.assert_allclose(hits.scores, unit_vectors(300)[hits.ids.astype(np.int64) - 1] @ query, rtol=1e-4)

    def test_asking_for_more_than_there_is_gives_all(self, filled: VectorIndex) -> None:
        assert filled.search(unit_vectors(1)[0], 1000).ids.size == 300

    def test_a_category_filter_keeps_any_of_the_categories(self, filled: VectorIndex) -> None:
        query, ids = unit_vectors(1, seed=2)[0], np.arange(1, 301, dtype=np.uint64)
        comedies = filled.search(query, 10, categories=["Comedy"])
        assert comedies.ids.tolist() == self.exact(query, 10, ids[ids % 2 == 1])
        either = filled.search(query, 300, categories=["Comedy", "Drama"])
        assert set(either.ids.tolist()) == set(ids[(ids % 2 == 1) | (ids % 3 == 0)].tolist())
        assert filled.search(query, 10, categories=["Western"]).ids.size == 0

    def test_excluded_ids_do_not_cost_places(self, filled: VectorIndex) -> None:
        query, ids = unit_vectors(1, seed=3)[0], np.arange(1, 301, dtype=np.uint64)
        gone = filled.search(query, 40).ids
        hits = filled.search(query, 10, exclude=gone)
        assert hits.ids.tolist() == self.exact(query, 10, ids[~np.isin(ids, gone)])

    def test_filters_combine(self, filled: VectorIndex) -> None:
        hits = filled.search(unit_vectors(1)[0], 300, categories=["Drama"], exclude=ids_of(3, 6))
        assert set(hits.ids.tolist()) == {i for i in range(9, 301) if i % 3 == 0}

    def test_many_searches_at_once_find_what_each_finds_alone(self, filled: VectorIndex) -> None:
        vectors = unit_vectors(3, seed=6)
        for categories, exclude in (((), None), (("Drama",), ids_of(3, 6, 9))):
            together = filled.search_each(vectors, 20, categories=categories, exclude=exclude)
            assert len(together) == 3
            for vector, hits in zip(vectors, together, strict=True):
                alone = filled.search(vector, 20, categories=categories, exclude=exclude)
                assert hits.ids.tolist() == alone.ids.tolist()
                assert hits.ids.dtype == np.uint64
                np.testing.assert_allclose(hits.scores, alone.scores, rtol=1e-5)

    def test_an_upsert_replaces_vector_and_categories_at_once(self, filled: VectorIndex) -> None:
        query = unit_vectors(1, seed=4)[0]
        filled.upsert(ids_of(7), 2 * query[None, :], [["Western"]])
        hits = filled.search(query, 1)
        assert hits.ids.tolist() == [7]
        assert hits.scores[0] == pytest.approx(2.0, rel=1e-4)
        assert filled.search(query, 5, categories=["Western"]).ids.tolist() == [7]
        assert filled.count() == 300

    def test_deleted_points_are_gone_at_once_and_unknown_ids_are_ignored(self, filled: VectorIndex) -> None:
        query = unit_vectors(1, seed=5)[0]
        best = filled.search(query, 2).ids
        filled.delete(np.append(best[:1], np.uint64(9999)))
        assert filled.search(query, 1).ids.tolist() == [best[1]]
        assert filled.count() == 299

    def test_ids_up_to_two_to_the_63_survive(self, index: VectorIndex) -> None:
        big = (1 << 63) - 1
        index.upsert(ids_of(big), unit_vectors(1), [[]])
        assert index.search(unit_vectors(1)[0], 1).ids.tolist() == [big]
