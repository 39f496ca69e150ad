"""What every text store does. A backend's test class inherits this and provides `store`: empty, of 4 dimensions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from services.retrieval.text.bm25 import Sparse
from services.retrieval.text.store import Entry, TextStore, Where

DIMENSIONS = 4
WAR, DOG = 17, 4_000_000_000
NOTHING = Sparse([], [])


def vector(*values: float) -> NDArray[np.float32]:
    return np.array(values, np.float32)


ENTRIES = (
    Entry(1, vector(1, 0, 0, 0), Sparse([WAR], [1.0]), ("Drama", "War"), 1979),
    Entry(2, vector(0.9, 0.1, 0, 0), Sparse([WAR, DOG], [2.0, 0.5]), ("Comedy", "War"), 1994),
    Entry(3, vector(0, 1, 0, 0), Sparse([DOG], [1.5]), ("Comedy",), 1999),
    Entry((1 << 63) - 1, vector(0.5, 0, 0.5, 0), NOTHING, (), None),
)
BIG = ENTRIES[3].id
EAST = vector(1, 0, 0, 0)


class TextStoreContract:
    @pytest.fixture
    def filled(self, store: TextStore) -> TextStore:
        store.upsert(ENTRIES)
        return store

    def by_sentence(self, store: TextStore, where: Where) -> list[int]:
        found: list[int] = store.search(EAST, NOTHING, 10, where).by_sentence.tolist()
        return found

    def test_each_vector_ranks_on_its_own(self, filled: TextStore) -> None:
        nearest = filled.search(EAST, Sparse([WAR, DOG], [1.0, 1.0]), 10, Where())
        assert nearest.by_sentence.tolist() == [1, 2, BIG, 3]
        assert nearest.by_terms.tolist() == [2, 3, 1]
        assert nearest.by_terms.dtype == nearest.by_sentence.dtype == np.uint64

    def test_a_vector_that_is_not_there_finds_nothing(self, filled: TextStore) -> None:
        nearest = filled.search(None, NOTHING, 10, Where())
        assert nearest.by_sentence.size == nearest.by_terms.size == 0

    def test_no_more_than_asked_for(self, filled: TextStore) -> None:
        nearest = filled.search(EAST, Sparse([WAR], [1.0]), 1, Where())
        assert nearest.by_sentence.tolist() == [1]
        assert nearest.by_terms.tolist() == [2]

    @pytest.mark.parametrize(
        ("where", "kept"),
        [
            (Where(genres=("Comedy", "War")), [2]),
            (Where(any_genres=("Comedy", "Drama")), [1, 2, 3]),
            (Where(not_genres=("War",)), [BIG, 3]),
            (Where(year_from=1994), [2, 3]),
            (Where(year_to=1994), [1, 2]),
            (Where(year_from=1980, year_to=1995, genres=("War",)), [2]),
            (Where(not_years=((1981, 1994), (2010, 2020))), [1, BIG, 3]),
            (Where(exclude=frozenset({1, BIG})), [2, 3]),
            (Where(genres=("Western",)), []),
        ],
    )
    def test_filters_keep_what_they_say(self, filled: TextStore, where: Where, kept: list[int]) -> None:
        assert self.by_sentence(filled, where) == kept

    def test_filters_hold_for_terms_too(self, filled: TextStore) -> None:
        assert filled.search(None, Sparse([WAR], [1.0]), 10, Where(year_to=1980)).by_terms.tolist() == [1]

    def test_an_upsert_replaces_all_of_a_point(self, filled: TextStore) -> None:
        filled.upsert([Entry(1, vector(0, 0, 0, 1), Sparse([DOG], [9.0]), ("Western",), 2000)])
        assert self.by_sentence(filled, Where(genres=("Western",))) == [1]
        assert filled.search(None, Sparse([DOG], [1.0]), 1, Where()).by_terms.tolist() == [1]
        assert filled.search(None, Sparse([WAR], [1.0]), 10, Where()).by_terms.tolist() == [2]
        assert filled.count() == 4

    def test_deleted_points_are_gone_and_unknown_ids_ignored(self, filled: TextStore) -> None:
        filled.delete([1, 999])
        assert self.by_sentence(filled, Where()) == [2, BIG, 3]

    def test_only_what_is_to_be_kept_stays(self, filled: TextStore) -> None:
        filled.keep_only([3, 77])
        assert self.by_sentence(filled, Where()) == [3]
        assert filled.count() == 1
