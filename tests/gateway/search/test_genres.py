from __future__ import annotations

import pytest

from services.gateway.search import parse
from tests.gateway.search.small_catalog import vocabulary

SMALL = vocabulary()


def said(sentence: str) -> str:
    """+wanted -unwanted, in the order of the alphabet."""
    query = parse(sentence, SMALL)
    return " ".join([*(f"+{genre}" for genre in query.genres), *(f"-{genre}" for genre in query.not_genres)])


@pytest.mark.parametrize(
    ("sentence", "genres"),
    [
        ("something funny", "+Comedy"),
        ("scary movies", "+Horror"),
        ("sci-fi", "+Sci-Fi"),
        ("a romcom", "+Comedy +Romance"),
        ("cartoons for kids", "+Animation +Children's"),
        ("family films", "+Children's"),
        ("a film about a family", ""),
        ("children in danger", ""),
        ("a whodunit", "+Mystery"),
        ("films noirs", "+Film-Noir"),
        ("war films of the cold war", "+War"),
        ("comdey", "+Comedy"),
        ("the auction", ""),
        ("nothing but comedies", "+Comedy"),
        ("not only funny but romantic", "+Comedy +Romance"),
        ("why not a comedy", "+Comedy"),
    ],
)
def test_genres_are_read_as_people_say_them(sentence: str, genres: str) -> None:
    assert said(sentence) == genres


@pytest.mark.parametrize(
    ("sentence", "genres"),
    [
        ("no musicals", "-Musical"),
        ("without romance", "-Romance"),
        ("no musicals or westerns", "-Musical -Western"),
        ("without any horror or thriller elements", "-Horror -Thriller"),
        ("neither horror nor war", "-Horror -War"),
        ("anything but westerns", "-Western"),
        ("not horror but comedy", "+Comedy -Horror"),
        ("no horror, a comedy instead", "+Comedy -Horror"),
        ("without horror and with jokes", "+Comedy -Horror"),
        ("a thriller, not too violent", "+Thriller -Horror -War"),
        ("a violent thriller", "+Thriller"),
        ("a comedy that isn't romantic", "+Comedy -Romance"),
        ("I don't like horror", "-Horror"),
        ("non-animated", "-Animation"),
        ("horror, but not too scary", "+Horror"),
        ("I'm not in the mood for horror", "-Horror"),
    ],
)
def test_a_no_reaches_as_far_as_its_list(sentence: str, genres: str) -> None:
    assert said(sentence) == genres


def test_one_of_several_is_enough_when_they_are_joined_by_or() -> None:
    assert parse("a comedy or a drama", SMALL).any_genre
    assert parse("comedy/drama", SMALL).any_genre
    assert not parse("a romantic comedy", SMALL).any_genre
    assert not parse("no comedy or drama", SMALL).any_genre


def test_a_subject_says_a_genre_and_stays_to_be_searched_for() -> None:
    query = parse("funny vampires", SMALL)
    assert query.genres == ("Comedy", "Horror")
    assert query.implied == ("Horror",)
    assert query.text_left == "vampires"
    assert parse("horror with vampires", SMALL).implied == ()


def test_the_no_is_part_of_the_span() -> None:
    sentence = "a comedy without romance"
    spans = parse(sentence, SMALL).spans
    assert [(sentence[span.start : span.end], span.kind, span.value) for span in spans] == [
        ("comedy", "genre", "Comedy"),
        ("without romance", "not_genre", "Romance"),
    ]
