from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.gateway.search import Query, Years, parse
from services.gateway.search.words import LONGEST
from tests.gateway.search.small_catalog import TITLES, vocabulary

SMALL = vocabulary("Agnès Varda")
SAID = """
like similar to not no without or and , . " ' between before after since the 90s nineties late 1980 1985 1980-85 '77
funny scary romantic film films best top 10 new from for kids whole family nothing but of heat wave Agnès Varda
nineteen eighty-four - / ! sci-fi war star wars
"""
SAYINGS = [*SAID.split(), *(title for title, _ in TITLES)]
SENTENCE = st.lists(st.sampled_from(SAYINGS), max_size=30).map(" ".join)
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=60)


def test_everything_in_one_sentence() -> None:
    sentence = "five funny heist films like The Matrix from the nineties, no romance, newest first"
    query = parse(sentence, SMALL)
    assert query.genres == ("Comedy", "Crime")
    assert query.not_genres == ("Romance",)
    assert query.years == Years(1990, 1999)
    assert query.like == ("Matrix, The",)
    assert (query.n, query.sort, query.text_left) == (5, "newest", "heist")


def test_a_sentence_that_says_nothing_known_is_all_left() -> None:
    sentence = "surprise me with chess"
    assert parse(sentence, SMALL) == Query(sentence, text_left="chess")


@given(sentence=SENTENCE | ANYTHING | st.tuples(SENTENCE, ANYTHING).map("".join))
@example("İstanbul'da ﬁlm \u0345 ǅ like ﬀ Heat")
@example("\ud800 like \udfff the 90s")
@settings(max_examples=600, derandomize=True)
def test_no_sentence_raises_and_no_character_is_lost(sentence: str) -> None:
    query = parse(sentence, SMALL)
    pieces = list(query.pieces())
    assert "".join(sentence[piece.start : piece.end] for piece in pieces) == sentence
    assert [piece.end for piece in pieces[:-1]] == [piece.start for piece in pieces[1:]]
    assert all(piece.start < piece.end for piece in pieces)
    assert not set(query.genres) & set(query.not_genres)
    assert set(query.genres) | set(query.not_genres) <= set(SMALL.genres)
    assert query.years is None or (query.years.first or 0) <= (query.years.last or 9999)


@given(sentence=SENTENCE)
@settings(max_examples=150, derandomize=True)
def test_what_is_left_are_words_of_the_sentence(sentence: str) -> None:
    query = parse(sentence, SMALL)
    assert all(word in sentence for word in query.text_left.split())


def test_words_past_the_longest_sentence_change_nothing() -> None:
    start = "a comedy" + " x" * LONGEST
    assert parse(start + " without romance from 1994", SMALL).genres == ("Comedy",)
    assert parse(start + " without romance from 1994", SMALL).years is None
