from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.retrieval.text.terms import asked_terms, singular, term_id, terms_of


def test_case_accents_possessives_and_plurals_do_not_matter() -> None:
    assert terms_of("Amélie's DOGS") == terms_of("amelie dog")


def test_apostrophes_stay_inside_a_word() -> None:
    assert terms_of("Don't Look Back") == ["dont", "look", "back"]


@pytest.mark.parametrize(
    ("plural", "one"),
    [
        ("stories", "story"),
        ("horses", "horse"),
        ("robots", "robot"),
        ("glass", "glass"),
        ("virus", "virus"),
        ("gas", "gas"),
    ],
)
def test_harmans_three_rules(plural: str, one: str) -> None:
    assert singular(plural) == one


def test_stop_words_are_asked_for_only_when_there_is_nothing_else() -> None:
    assert asked_terms("a film about the dog") == ["dog"]
    assert asked_terms("It") == ["it"]


@given(text=st.text(st.characters(exclude_categories=())))
@settings(max_examples=200, derandomize=True)
def test_any_unicode_has_terms_with_coordinates_of_32_bits(text: str) -> None:
    assert all(0 <= term_id(term) < 2**32 for term in terms_of(text))
