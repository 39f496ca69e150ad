from __future__ import annotations

import pytest

from services.gateway.search.vocabulary import Title, Vocabulary, forms_of
from tests.gateway.search.small_catalog import vocabulary

SMALL = vocabulary()


@pytest.mark.parametrize(
    ("title", "forms"),
    [
        ("Matrix, The", ["the matrix", "matrix"]),
        ("A Bug's Life", ["a bugs life", "bugs life"]),
        ("Seven (Se7en)", ["seven", "se7en"]),
        (
            "Professional, The (a.k.a. Leon: The Professional)",
            ["the professional", "professional", "leon the professional"],
        ),
        ("Heat (1995)", ["heat"]),
        ("???", []),
    ],
)
def test_a_title_is_known_in_every_way_it_is_written(title: str, forms: list[str]) -> None:
    assert forms_of(title) == forms


def test_a_title_of_two_items_is_both() -> None:
    assert [title.year for title in SMALL.titled(["psycho"])] == [1960, 1998]


def test_the_name_of_a_series_is_its_first_part() -> None:
    assert [title.year for title in SMALL.titled(["star", "wars"])] == [1977]


def test_a_typo_is_forgiven_only_when_asked_to() -> None:
    assert SMALL.titled(["pulp", "ficton"]) == []
    assert [title.title for title in SMALL.titled(["pulp", "ficton"], with_typo=True)] == ["Pulp Fiction"]


def test_the_years_are_those_of_the_catalog() -> None:
    assert (SMALL.first_year, SMALL.last_year, SMALL.this_year) == (1927, 2000, 2000)


def test_an_empty_catalog_is_a_vocabulary_too() -> None:
    empty = Vocabulary([], [Title(1, "Nameless")])
    assert (empty.first_year, empty.last_year, empty.genres) == (None, None, ())
