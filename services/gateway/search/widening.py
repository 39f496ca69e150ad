"""What to give up, in which order, when a query finds too little: guesses first, "no" never."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from services.gateway.search.query import Query, Years

MORE_YEARS = 5
"""How far a range of years grows to either side before it is dropped."""


@dataclass(frozen=True, slots=True)
class Wider:
    """A query that finds more, and the sentence that says why it is not what was asked for."""

    query: Query
    given_up: str
    """Empty for the query as it was asked."""


def widened(query: Query) -> Iterator[Wider]:
    """The query as asked, then ever wider ones. What is not wanted stays unwanted in all of them."""
    yield Wider(query, "")
    named = tuple(genre for genre in query.genres if genre not in query.implied)
    if named and query.implied:
        given_up = f"{', '.join(query.implied)} was not asked for by name."
        query = replace(query, genres=named, implied=())
        yield Wider(query, given_up)
    if len(query.genres) > 1 and not query.any_genre:
        query = replace(query, any_genre=True)
        yield Wider(query, f"One of {', '.join(query.genres)} is enough.")
    if query.years is not None:
        query = replace(query, years=_grown(query.years))
        yield Wider(query, f"The years reach {MORE_YEARS} further.")
        query = replace(query, years=None)
        yield Wider(query, "Any year will do.")
    if query.genres:
        query = replace(query, genres=(), implied=(), any_genre=False)
        yield Wider(query, "Any genre will do.")


def _grown(years: Years) -> Years:
    first = None if years.first is None else years.first - MORE_YEARS
    return Years(first, None if years.last is None else years.last + MORE_YEARS)
