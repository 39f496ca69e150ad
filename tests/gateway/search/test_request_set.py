"""The fixed set of requests and its scorer."""

from __future__ import annotations

from collections import Counter

import pytest

from loadtests.search.parsers import ModelAlone
from loadtests.search.score import Request, ask_all, fields_of, pairs_of, read_requests, score
from services.gateway.search import Query, Years
from services.llm.calls import Generation
from tests.gateway.search.small_catalog import vocabulary

SMALL = vocabulary()


def request(**expected: object) -> Request:
    return Request("dev", "easy", "a sentence", expected)


def test_the_set_is_two_hundred_different_requests_in_two_halves() -> None:
    requests = read_requests()
    assert Counter(request.split for request in requests) == {"dev": 100, "test": 100}
    assert len({request.text for request in requests}) == 200
    kinds = {half: {request.kind for request in requests if request.split == half} for half in ("dev", "test")}
    assert kinds["dev"] == kinds["test"]


def test_every_expected_genre_is_one_of_the_catalogs() -> None:
    for found in read_requests():
        assert {*found.expected.get("genres", ()), *found.expected.get("not_genres", ())} <= set(SMALL.genres)


def test_exactness_is_by_field_and_f1_by_pair() -> None:
    """Of 3 pairs expected and 3 found, 2 are the same: precision, recall and F1 are 2/3."""
    expected = request(genres=["Comedy", "War"], years=[1990, None])
    result = score([expected], [{"genres": ["Comedy"], "years": [1990, None], "n": 5}])
    assert result.exact["years"] == 1.0
    assert result.exact["genres"] == result.exact["n"] == result.exact["all"] == 0.0
    assert (result.precision, result.recall, result.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))


def test_a_query_has_the_form_of_what_is_expected() -> None:
    fields = fields_of(Query("x", genres=("War",), years=Years(None, 1950), like=("Heat",), n=3))
    assert pairs_of(fields) == {("genres", "War"), ("to", 1950), ("titles", "Heat"), ("n", 3)}


def test_nothing_expected_and_nothing_found_is_right() -> None:
    assert score([request()], [fields_of(Query("x"))]).exact["all"] == 1.0


async def test_a_model_alone_is_read_like_the_parser_and_a_broken_answer_says_nothing() -> None:
    async def ask(generation: Generation) -> str:
        if generation.messages[-1].content == "broken":
            return '{"genres":["War"'
        return (
            '{"genres":["War"],"not_genres":[],"years":{"from":1990,"to":null},"titles":["the matrix","unheard of"],'
            '"sort":"best","n":3}'
        )

    model = ModelAlone(SMALL, ask, "small")
    found = await ask_all(model, [request(), Request("dev", "easy", "broken", {})])
    assert found[0] == {
        "genres": ["War"],
        "not_genres": [],
        "years": [1990, None],
        "titles": ["Matrix, The"],
        "sort": "best",
        "n": 3,
    }
    assert pairs_of(found[1]) == set()
