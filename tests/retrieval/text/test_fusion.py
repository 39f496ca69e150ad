from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from services.retrieval.text.fusion import reciprocal_rank

RANKINGS = st.lists(st.integers(0, 2**63 - 1), unique=True, max_size=12)


def ranking(*ids: int) -> NDArray[np.uint64]:
    return np.array(ids, np.uint64)


def test_the_papers_sum() -> None:
    ids, scores = reciprocal_rank([ranking(7, 8), ranking(8, 9)], 10)
    assert ids.tolist() == [8, 7, 9]
    assert scores.tolist() == pytest.approx([1 / 62 + 1 / 61, 1 / 61, 1 / 62])


def test_a_ranking_counts_by_its_weight() -> None:
    ids, scores = reciprocal_rank([ranking(7), ranking(8)], 10, (0.5, 1.0))
    assert ids.tolist() == [8, 7]
    assert scores.tolist() == pytest.approx([1 / 61, 0.5 / 61])


@given(first=RANKINGS, second=RANKINGS)
@settings(max_examples=150, derandomize=True)
def test_the_order_of_the_rankings_does_not_matter(first: list[int], second: list[int]) -> None:
    one = reciprocal_rank([ranking(*first), ranking(*second)], 50)
    other = reciprocal_rank([ranking(*second), ranking(*first)], 50)
    assert one[0].tolist() == other[0].tolist()
    np.testing.assert_allclose(one[1], other[1])
    assert set(one[0].tolist()) == {*first, *second}
    assert (np.diff(one[1]) <= 1e-9).all()


@given(ids=st.lists(st.integers(1, 1000), unique=True, min_size=2, max_size=12), other=RANKINGS, data=st.data())
@settings(max_examples=150, derandomize=True)
def test_an_item_that_rises_in_one_ranking_never_falls(ids: list[int], other: list[int], data: st.DataObject) -> None:
    place = data.draw(st.integers(1, len(ids) - 1))
    item, risen = ids[place], list(ids)
    risen[place - 1], risen[place] = risen[place], risen[place - 1]
    before = reciprocal_rank([ranking(*ids), ranking(*other)], 50)[0].tolist()
    after = reciprocal_rank([ranking(*risen), ranking(*other)], 50)[0].tolist()
    assert after.index(item) <= before.index(item)


def test_nothing_from_nothing() -> None:
    ids, scores = reciprocal_rank([ranking(), ranking()], 5)
    assert ids.size == scores.size == 0
