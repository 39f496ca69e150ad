"""Sentences that must not share an answer, and sentences that may."""

from __future__ import annotations

import pytest

from services.llm.caches.facts import facts

DIFFERENT = [
    ("films from 1994", "films from 1995"),
    ("films of the 80s", "films of the 90s"),
    ("a film of the eighties", "a film of the nineties"),
    ("two films for tonight", "three films for tonight"),
    ("the first Alien", "the second Alien"),
    ("films rated 7.5", "films rated 7.6"),
    ("5 films rated 7", "7 films rated 5"),
    ("films with violence", "films without violence"),
    ("I want to see horror", "I don't want to see horror"),
    ("films that are funny", "films that are not funny"),
    ("films my daughter likes", "films my daughter hates"),
    ("films before 1990", "films after 1990"),
    ("more like this", "less like this"),
    ("the best heist film", "the worst heist film"),
    ('explain "Heat"', 'explain "Ronin"'),
    ("explain 'heat'", "explain 'ronin'"),
    ("explain “The Sting”", "explain “The Thing”"),
    ("explain «Le Samouraï»", "explain «Le Cercle rouge»"),
    ("Why was Alien recommended?", "Why was Aliens recommended?"),
    ("Alien is on tonight?", "Aliens is on tonight?"),
    ("Is Heat better than Ronin?", "Is Ronin better than Heat?"),
    ("films with Se7en's actor", "films with Seven's actor"),
    ("films under 90 minutes", "films over 90 minutes"),
    ("all but horror, please no gore", "all but horror, please gore"),
]
SAME = [
    ("Recommend a heist movie", "Could you suggest a heist film?"),
    ("What is the film Heat about?", "Tell me what Heat is about"),
    ("I don't want horror", "i do not want horror"),
    ("explain “Heat”", 'Please explain "heat"!'),
    ("a scary movie, for kids", "A scary film for children"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_a_number_a_negation_a_direction_a_name_or_a_title_makes_two_questions(one: str, other: str) -> None:
    assert facts(one) != facts(other)


@pytest.mark.parametrize(("one", "other"), SAME)
def test_other_words_for_the_same_do_not(one: str, other: str) -> None:
    assert facts(one) == facts(other)
