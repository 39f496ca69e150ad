from __future__ import annotations

import pytest

from services.gateway.search import parse
from tests.gateway.search.small_catalog import vocabulary

SMALL = vocabulary()


@pytest.mark.parametrize(
    ("sentence", "titles"),
    [
        ("like Heat", ["Heat"]),
        ("movies like heat", ["Heat"]),
        ("similar to The Matrix", ["Matrix, The"]),
        ("something like matrix, but funny", ["Matrix, The"]),
        ('like "se7en"', ["Seven (Se7en)"]),
        ("\u201cToy Story\u201d for adults", ["Toy Story"]),
        ("like Toy Story 2", ["Toy Story 2"]),
        ("I loved Pulp Fiction, Heat and The Godfather", ["Pulp Fiction", "Heat", "Godfather, The"]),
        ("as good as Leon: The Professional", ["Professional, The (a.k.a. Leon: The Professional)"]),
        ("like Star Wars", ["Star Wars: Episode IV - A New Hope"]),
        ("like 2001: A Space Odyssey", ["2001: A Space Odyssey"]),
        ("simlar to Pulp Ficton", ["Pulp Fiction"]),
        ("like teh matirx", []),
        ("like the Matirx", ["Matrix, The"]),
        ("Fight Club type of film", ["Fight Club"]),
        ("a heat wave", []),
        ("like heat waves", []),
        ("I like war movies", []),
        ("like The War", ["War, The"]),
        ("I like romance", []),
        ("like it", []),
        ("nothing like Heat", []),
        ("don't show me anything like Heat", []),
        ("like nothing anyone has seen", []),
    ],
)
def test_titles_are_read_where_something_is_like_them(sentence: str, titles: list[str]) -> None:
    assert list(parse(sentence, SMALL).like) == titles


def test_a_title_of_two_items_brings_both_ids() -> None:
    assert parse("like Psycho", SMALL).like_ids == (8, 9)


def test_the_years_in_a_title_are_no_years() -> None:
    query = parse("like 2001: A Space Odyssey, from the sixties", SMALL)
    assert query.years is not None
    assert (query.years.first, query.years.last) == (1960, 1969)


@pytest.mark.parametrize("sentence", ["The Matrix", "matrix", "heat!", "Scary Movie"])
def test_a_sentence_that_is_a_title_is_looked_for_as_it_stands(sentence: str) -> None:
    query = parse(sentence, SMALL)
    assert query.named
    assert query.text_left == sentence
    assert query.genres == query.like == ()


@pytest.mark.parametrize("sentence", ["scary movie", "romance", "it"])
def test_a_genre_is_no_title_unless_it_is_written_like_one(sentence: str) -> None:
    assert not parse(sentence, SMALL).named
