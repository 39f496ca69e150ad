from __future__ import annotations

from services.gateway.search.query import Span
from services.gateway.search.words import LONGEST, Reading, by_first_word, longest_at, phrase, table_of, words_of


def test_words_are_compared_without_case_accents_and_apostrophes() -> None:
    assert phrase("Amélie DIDN'T") == ("amelie", "didnt")


def test_a_word_knows_where_it_stands_and_whether_it_has_a_capital() -> None:
    first, second = words_of("  a Ünion!")
    assert ("  a Ünion!"[second.start : second.end], second.capital, first.capital) == ("Ünion", True, False)


def test_what_comes_after_the_longest_sentence_is_not_read() -> None:
    assert len(words_of("war " * LONGEST)) == LONGEST // 4


def test_a_claimed_word_is_no_longer_there_and_not_left() -> None:
    reading = Reading.of("a funny heist film")
    reading.claim(1, 2, "genre", "Comedy")
    assert reading.text(1) == ""
    assert reading.spans == [Span(2, 7, "genre", "Comedy")]
    assert reading.left() == "heist"


def test_a_kept_word_is_left_though_claimed() -> None:
    reading = Reading.of("Vampires please")
    reading.claim(0, 1, "genre", "Horror", keep=True)
    assert reading.left() == "Vampires"


def test_the_longest_phrase_wins() -> None:
    phrases = by_first_word([("film",), ("film", "noir")])
    assert longest_at(Reading.of("film noir"), 0, phrases) == ("film", "noir")
    assert longest_at(Reading.of("film about war"), 0, phrases) == ("film",)


def test_the_lines_of_one_name_add_up() -> None:
    assert table_of("a: b; c d\na: e") == {"a": [("b",), ("c", "d"), ("e",)]}
