"""What a sentence about an item may not say."""

from __future__ import annotations

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from services.gateway.explanations.check import contradictions, folded_title
from services.gateway.explanations.facts import Facts, said_title
from services.gateway.explanations.sentences import sentence

REASONS = ("viewers of your last film went on to it", "its viewers rate it highly")
HEAT = Facts("6", 1, "Heat", 1995, ("Action", "Crime", "Thriller"), "The Godfather", REASONS)
GENRES = ("Action", "Children's", "Comedy", "Crime", "Film-Noir", "Sci-Fi", "War")


@pytest.mark.parametrize(
    "said",
    [
        "Since you watched The Godfather, you may like Heat, which its viewers rate highly.",
        "Heat from 1995 is a Crime film that its viewers rate highly.",
        "If you liked The Godfather, try the thriller Heat (1995)!",
        "Viewers of your last film went on to Heat.",
        "As viewers of your last film went on to it, you may enjoy Heat, a Crime and Action film from 1995.",
        "Heat is a 1990s thriller, for fans of The Godfather.",
        "Heat, from the nineties, is a crime film its viewers rate highly.",
        'You may like "Heat", an action film.',
    ],
)
def test_a_sentence_of_facts_may_be_shown(said: str) -> None:
    assert contradictions(said, HEAT) == []


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ("Because you watched The Matrix, you may like Heat.", "'Matrix' is not among the facts"),
        ("Heat stars Al Pacino and is a crime film.", "'stars' is not among the facts"),
        ("Heat is a crime film with Robert Deniro.", "'Robert' is not among the facts"),
        ("Heat from 1996 is a crime film.", "1996 is no year given"),
        ("Heat is a classic thriller.", "'classic' is not among the facts"),
        ("Heat is close to your taste.", "'close' is not among the facts"),
        ("The Godfather is a crime film.", "something is said of the film that was watched"),
        ("You may like this crime film.", "the film is not named"),
        ("Heat is a film of the eighties.", "'eighties' is another decade"),
        ("Heat is a 1980s thriller.", "1980 is no year given"),
        ("Heat is a funny film.", "'funny' is no genre given"),
        ("Heat is a romantic thriller.", "'romantic' is no genre given"),
        ("Heat won 3 Oscars.", "'won' is not among the facts"),
        ('You may like "Ronin" too.', "'Ronin' is not among the facts"),
        ("Since you watched Heat, you may like it.", "the item was not watched yet"),
        ("You will not like Heat.", "'not' is not among the facts"),
        ("Heat is a crime film. It is good.", "it is more than one sentence"),
        ("Heat is a crime film", "it has no end"),
        ("", "its length"),
        ("Heat " * 60 + ".", "its length"),
    ],
)
def test_what_is_not_in_the_facts_is_refused(said: str, wrong: str) -> None:
    assert wrong in contradictions(said, HEAT)


def test_words_and_numbers_of_a_title_are_no_claims() -> None:
    facts = Facts("1", 1, "2001: A Space Odyssey", 1968, ("Drama", "Sci-Fi"), "12 Angry Men", ())
    assert contradictions("Because you watched 12 Angry Men: 2001: A Space Odyssey (1968).", facts) == []
    assert contradictions("Because you watched 13 Angry Men, try 2001: A Space Odyssey.", facts)


def test_another_title_of_the_catalogue_is_found_without_capitals_too() -> None:
    titles = {folded_title("The Big Sleep"), folded_title("Big"), folded_title("The Godfather")}
    said = "Because you watched The Godfather, Heat will not let the big sleep come."
    assert "'the big sleep' is another title" in contradictions(said, HEAT, titles)


TITLES = st.sampled_from(["Heat", "2001: A Space Odyssey", "Se7en", "L.A. Confidential", "Mr. Smith Goes", "M*A*S*H"])


@seed(5)
@given(
    title=TITLES,
    cause=TITLES | st.just(""),
    year=st.none() | st.integers(1900, 2024),
    genres=st.lists(st.sampled_from(GENRES), unique=True, max_size=3).map(tuple),
    reasons=st.sampled_from([(), REASONS[:1], REASONS]),
)
def test_what_the_rule_says_never_goes_beyond_the_facts(
    title: str, cause: str, year: int | None, genres: tuple[str, ...], reasons: tuple[str, ...]
) -> None:
    facts = Facts("1", 1, title, year, genres, "" if cause == title else cause, reasons)
    assert contradictions(sentence(facts), facts) == []


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("Matrix, The (1999)", "The Matrix"),
        ("Heat (1995)", "Heat"),
        ("Bug's Life, A (1998)", "A Bug's Life"),
        ("Avventura, L' (1960)", "L'Avventura"),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey"),
        ("1984", "1984"),
    ],
)
def test_titles_are_said_as_people_say_them(title: str, said: str) -> None:
    assert said_title(title) == said
