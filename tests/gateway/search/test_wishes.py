from __future__ import annotations

import pytest

from services.gateway.search import parse
from tests.gateway.search.small_catalog import vocabulary

SMALL = vocabulary()


@pytest.mark.parametrize(
    ("sentence", "n"),
    [
        ("top 10 dramas", 10),
        ("five films about chess", 5),
        ("three scary films", 3),
        ("give me 7 comedies", 7),
        ("at most 20 westerns", 20),
        ("the 15 best", 15),
        ("12 angry jurors", None),
        ("two cops on the run", None),
        ("for my six year old", None),
        ("90 minutes of action", None),
        ("500 films", None),
        ("one film", None),
    ],
)
def test_a_number_of_films_is_a_count(sentence: str, n: int | None) -> None:
    assert parse(sentence, SMALL).n == n


@pytest.mark.parametrize(
    ("sentence", "sort"),
    [
        ("newest comedies", "newest"),
        ("new films", "newest"),
        ("New York", None),
        ("the best dramas", "best"),
        ("my best friend", None),
        ("top rated westerns", "best"),
        ("popular musicals", "popular"),
        ("famous painters", None),
        ("oldest westerns", "oldest"),
        ("dramas", None),
    ],
)
def test_an_order_is_read_where_films_follow(sentence: str, sort: str | None) -> None:
    assert parse(sentence, SMALL).sort == sort
