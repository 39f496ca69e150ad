"""Titles in a sentence: those that something should be like, and the one that is the whole sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator

from services.gateway.search.typos import one_typo
from services.gateway.search.vocabulary import MOST_WORDS, Title, Vocabulary
from services.gateway.search.words import NOISE, OBJECTS, Reading, bag, by_first_word, longest_at, phrase, table_of

_CUES_SAID = table_of("""
sure: similar to; in the style of; in the vein of; in the spirit of; in the same vein as; reminiscent of; reminds me of
sure: remind me of; as good as; fans of; fan of; akin to; comparable to; along the lines of; same mood as; same style as
sure: same spirit as; something like; movies like; films like; more like; feel like; feels like; such as; a la
sure: inspired by; resembling; resembles; like the movie; like the film; liked; loved; enjoyed; adored
unsure: like; love; adore; watched; saw; seen; same as; similar; as in; enjoy
""")
_CUES = {words: kind == "sure" for kind, phrases in _CUES_SAID.items() for words in phrases}
"""Words before a title, and whether they are hardly ever followed by anything else."""
_CUES_BY_WORD = by_first_word(_CUES.keys())
_BEFORE_TITLE = frozenset({"the", "movie", "film", "movies", "films", "both", "either", "maybe", "say", "eg"})
_AFTER_TITLE = NOISE | bag("set without before after since between next later too again")
_BEHIND = tuple(map(phrase, ("type", "style", "esque", "ish", "like", "kind of", "sort of", "vibes", "vibe")))
"""What may follow a title that something should be like: "Fight Club type of film"."""
_NOT = frozenset({"not", "dont", "nothing", "didnt", "never", "hate", "isnt", "no"})
_BETWEEN = bag("show me give anything something want any more movies films at all")
"""What may stand between "don't" and "like"."""
_QUOTED = re.compile(
    r"\"([^\"]{1,120})\"|\u201c([^\u201d]{1,120})\u201d|\u00ab([^\u00bb]{1,120})\u00bb|(?<!\w)'([^']{2,120})'(?!\w)"
)


def read_titles(reading: Reading, vocabulary: Vocabulary) -> list[Title]:
    """Claims every title in quotes or after words such as "like", and returns all items of those titles.

    At every such place a bounded number of words is compared: linear in the sentence.
    """
    found = list(_in_quotes(reading, vocabulary))
    place = 0
    while place < len(reading.words):
        cue = _cue_at(reading, place)
        if cue and not _refused(reading, place):
            titles, stop = _listed(reading, place, place + len(cue), _CUES[cue], vocabulary)
            found += titles
            place = max(stop, place + 1)
        else:
            place += 1
    return found + list(_in_front(reading, vocabulary))


def whole_title(reading: Reading, vocabulary: Vocabulary) -> list[Title]:
    """The items whose title the whole sentence is, article and marks aside; none when its words say a genre."""
    words = [word.text for word in reading.words]
    if not words or len(words) > MOST_WORDS:
        return []
    capitals = all(word.capital or word.text in NOISE for word in reading.words) and reading.words[0].capital
    known = vocabulary.sayings.phrases
    plain = all(word in OBJECTS or word in known or word in NOISE for word in words)
    return vocabulary.titled(words) if not plain or (capitals and len(words) > 1) else []


def _refused(reading: Reading, place: int) -> bool:
    """Whether a "not" stands before the words at a place: "don't show me anything like it"."""
    while reading.text(place - 1) in _BETWEEN and not reading.breaks(place):
        place -= 1
    return reading.text(place - 1) in _NOT and not reading.breaks(place)


def _cue_at(reading: Reading, place: int) -> tuple[str, ...] | None:
    cue = longest_at(reading, place, _CUES_BY_WORD)
    if cue is None and reading.text(place + 1) == "to" and one_typo(reading.text(place), "similar"):
        return ("similar", "to")
    return cue


def _in_quotes(reading: Reading, vocabulary: Vocabulary) -> Iterator[Title]:
    for quoted in _QUOTED.finditer(reading.sentence):
        start, end = quoted.span()
        inside = [place for place, word in enumerate(reading.words) if start < word.start and word.end < end]
        if not inside or any(reading.taken[place] for place in inside):
            continue
        words = [reading.words[place].text for place in inside]
        titles = vocabulary.titled(words) or vocabulary.titled(words, with_typo=True)
        if titles:
            first, stop = inside[0], inside[-1] + 1
            before = next((length for length in (4, 3, 2, 1) if _says_like(reading, first - length, length)), 0)
            reading.claim(first - before, stop, "like", titles[0].title)
            yield from titles


def _says_like(reading: Reading, place: int, length: int) -> bool:
    return place >= 0 and tuple(reading.text(at) for at in range(place, place + length)) in _CUES


def _listed(reading: Reading, cue: int, place: int, sure: bool, vocabulary: Vocabulary) -> tuple[list[Title], int]:
    """The titles that follow a cue, one after the other, and the place after the last."""
    found: list[Title] = []
    start = cue
    while True:
        titles, stop = _title_at(reading, place, sure and not found, vocabulary)
        while not titles and reading.text(place) in _BEFORE_TITLE:
            place += 1
            titles, stop = _title_at(reading, place, sure and not found, vocabulary)
        if not titles:
            return found, start if found else cue
        reading.claim(start, stop, "like", titles[0].title)
        found += titles
        start = stop
        if reading.text(stop) in ("and", "or"):
            place = stop + 1
        elif "," in reading.gap(stop) and stop < len(reading.words):
            place = stop
        else:
            return found, stop
        start = place


def _title_at(reading: Reading, place: int, sure: bool, vocabulary: Vocabulary) -> tuple[list[Title], int]:
    """The longest title that begins at a place, exactly or else with one typo, and the place after it."""
    words: list[str] = []
    while len(words) < MOST_WORDS and (text := reading.text(place + len(words))):
        words.append(text)
    for with_typo in (False, True):
        for length in range(len(words), 0, -1):
            titles = vocabulary.titled(words[:length], with_typo=with_typo)
            if titles and _meant(reading, place, place + length, sure and not with_typo, vocabulary):
                return titles, place + length
    return [], place


def _meant(reading: Reading, first: int, stop: int, sure: bool, vocabulary: Vocabulary) -> bool:
    """Whether words that are a title are meant as one: "Heat" in "like Heat" is, in "like heat waves" it is not."""
    words = [reading.text(place) for place in range(first, stop)]
    telling = [word for word in words if word not in ("the", "a", "an")]
    if all(word in NOISE for word in telling):
        return False
    follows = reading.text(stop)
    if follows and not reading.breaks(stop) and follows not in _AFTER_TITLE and not _is_behind(reading, stop):
        return False
    if reading.words[stop - len(telling)].capital:
        return True
    certain = sure or len(telling) > 1 or reading.text(first - 1) == "like"
    return certain and tuple(telling) not in vocabulary.sayings.table


def _is_behind(reading: Reading, place: int) -> bool:
    return any(reading.says(place, words) for words in _BEHIND)


def _in_front(reading: Reading, vocabulary: Vocabulary) -> Iterator[Title]:
    """Titles before "type of film", "-like", "vibes"."""
    for stop in range(1, len(reading.words)):
        if not _is_behind(reading, stop) or reading.breaks(stop):
            continue
        for first in range(max(0, stop - MOST_WORDS), stop):
            words = [reading.text(place) for place in range(first, stop)]
            titles = vocabulary.titled(words) if all(words) and reading.words[first].capital else []
            if titles and not all(word in NOISE for word in words):
                reading.claim(first, stop + 1, "like", titles[0].title)
                yield from titles
                break
