from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.retrieval.text.bm25 import DRIFT, Bm25, Sparse
from services.retrieval.text.terms import term_id

WORDS = st.lists(st.sampled_from(["war", "peace", "love", "dog", "heist", "paris"]), max_size=8)
STEPS = st.lists(st.tuples(st.integers(0, 5), st.none() | WORDS), max_size=25)


def dot(first: Sparse, second: Sparse) -> float:
    values = dict(zip(*second, strict=True))
    return sum(value * values.get(index, 0.0) for index, value in zip(*first, strict=True))


def test_a_score_is_what_one_computes_by_hand() -> None:
    """Three documents of 2, 4 and 3 terms; "war" is in two of them, and twice in the one that is scored."""
    bm25 = Bm25()
    bm25.put(1, ["war", "peace"])
    bm25.put(2, ["war", "war", "dog", "paris"])
    bm25.put(3, ["love", "in", "paris"])
    assert bm25.settle()
    idf = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    weight = 2 * 2.2 / (2 + 1.2 * (1 - 0.75 + 0.75 * 4 / 3))
    assert dot(bm25.query(["war"]), bm25.document(2)) == pytest.approx(idf * weight)
    assert idf * weight == pytest.approx(0.59085, abs=1e-4)


def test_a_rare_term_weighs_more_than_a_common_one_and_an_unknown_one_nothing() -> None:
    bm25 = Bm25()
    for number in range(10):
        bm25.put(number, ["film", "dog"] if number == 3 else ["film"])
    values = dict(zip(*bm25.query(["dog", "film", "unheard"]), strict=True))
    assert values.keys() == {term_id("dog"), term_id("film")}
    assert values[term_id("dog")] > values[term_id("film")] > 0


def test_a_term_asked_for_twice_weighs_twice() -> None:
    bm25 = Bm25()
    bm25.put(1, ["war"])
    assert bm25.query(["war", "war"]).values == [2 * bm25.query(["war"]).values[0]]


def test_of_two_documents_with_a_term_the_shorter_one_wins() -> None:
    bm25 = Bm25()
    bm25.put(1, ["heist"])
    bm25.put(2, ["heist", "paris", "love", "dog"])
    bm25.settle()
    asked = bm25.query(["heist"])
    assert dot(asked, bm25.document(1)) > dot(asked, bm25.document(2))


@given(steps=STEPS)
@settings(max_examples=200, derandomize=True)
def test_what_came_and_went_leaves_no_trace(steps: list[tuple[int, list[str] | None]]) -> None:
    changing, left = Bm25(average_length=3.0), dict[int, list[str]]()
    for number, words in steps:
        if words is None:
            changing.delete(number)
            left.pop(number, None)
        else:
            changing.put(number, words)
            left[number] = words
    rebuilt = Bm25(average_length=3.0)
    for number, words in left.items():
        rebuilt.put(number, words)
    asked = ["war", "war", "peace", "dog"]
    assert changing.query(asked) == rebuilt.query(asked)
    assert [changing.document(number) for number in left] == [rebuilt.document(number) for number in left]
    changing.settle()
    true_average = sum(map(len, left.values())) / max(1, len(left))
    assert changing.average_length is not None
    assert abs(true_average - changing.average_length) <= DRIFT * changing.average_length


def test_settling_twice_changes_nothing() -> None:
    bm25 = Bm25()
    bm25.put(1, ["war", "dog"])
    assert bm25.settle()
    assert not bm25.settle()
