from __future__ import annotations

from services.gateway.search import Query, Years
from services.gateway.search.widening import widened


def test_a_query_is_first_tried_as_it_was_asked() -> None:
    query = Query("x", genres=("Comedy", "Crime"), years=Years(1990, 1999))
    first = next(widened(query))
    assert first.query is query
    assert first.given_up == ""


def test_each_step_gives_up_one_thing_and_says_so() -> None:
    query = Query("x", genres=("Comedy", "Crime"), not_genres=("War",), years=Years(None, 1950))
    _, either, longer, ever, anything = widened(query)
    assert either.query.any_genre
    assert longer.query.years == Years(None, 1955)
    assert ever.query.years is None
    assert anything.query.genres == ()
    assert all(step.given_up and step.query.not_genres == ("War",) for step in (either, longer, ever, anything))


def test_a_genre_that_was_only_implied_goes_before_one_that_was_named() -> None:
    query = Query("x", genres=("Crime", "Western"), implied=("Crime",))
    _, named, anything = widened(query)
    assert named.query.genres == ("Western",)
    assert "Crime" in named.given_up
    assert anything.query.genres == ()


def test_a_query_without_filters_has_nothing_to_give_up() -> None:
    assert len(list(widened(Query("x", text_left="chess")))) == 1
