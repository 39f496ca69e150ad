"""A sentence as words with their places, and what has been made of them so far."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from services.gateway.search.query import Kind, Span

LONGEST = 400
"""Characters of a sentence that are read; what comes after them is left alone."""

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_NOISE = """
a about actually all also always am an and any anything are as at be been bit but by can could day do does else ever
feel feeling few film films find first flick flicks for from get give good great had has have hello help hi how i id
if ill im in instead into is it its ive just kind let like liked list little look looking lot made make maybe me mood
more most movie movies much must my need nice no nor not nothing of ok on one ones only or other our out perhaps
picture pictures please quite rather really recommend recommendation recommendations s see set shall she he show so
some somebody someone something sort stuff such suggest suggestion suggestions sure surprise tell than thank thanks
that thats the their them then there these they thing things think this those title titles to today tonight too try
type us very want wanna wants watch watching was we well were whatever what whats when where which while who whose
will with without would year years you your evening weekend story stories released type style fan fans say preferably
dont doesnt ideally later again
"""


def bag(text: str) -> frozenset[str]:
    """The words of a list in a string."""
    return frozenset(text.split())


NOISE = bag(_NOISE)
"""Words that ask, point and join, but say nothing of what is wanted."""
OBJECTS = bag("film films movie movies flick flicks picture pictures ones title titles stuff things")
"""What is asked for, whatever it is about."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word: as it is compared, and where it stands."""

    text: str
    """In lower case, without accents and apostrophes."""
    start: int
    end: int
    capital: bool


def fold(text: str) -> str:
    """Lower case, without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(character for character in plain if not unicodedata.combining(character))


def words_of(text: str) -> list[Word]:
    """The words of a text, in its order."""
    words = []
    for found in _WORD.finditer(text[:LONGEST]):
        plain = fold(found[0]).replace("'", "").replace("\u2019", "")
        words.append(Word(plain, found.start(), found.end(), found[0][0].isupper()))
    return words


def phrase(text: str) -> tuple[str, ...]:
    """The words of a phrase as they are compared."""
    return tuple(word.text for word in words_of(text))


def table_of(text: str) -> dict[str, list[tuple[str, ...]]]:
    """A table in a string, "name: one phrase; another" on a line; the lines of one name add up."""
    table: dict[str, list[tuple[str, ...]]] = {}
    for line in text.strip().splitlines():
        name, _, phrases = line.partition(":")
        table.setdefault(name.strip(), []).extend(phrase(words) for words in phrases.split(";"))
    return table


@dataclass(slots=True)
class Reading:
    """A sentence of W words while it is read: every word is claimed at most once."""

    sentence: str
    words: list[Word]
    taken: list[bool] = field(init=False)
    """(W,)"""
    kept: set[int] = field(default_factory=set)
    """Claimed words that stay in the text as well: "vampires" is a genre, and a subject."""
    spans: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.taken = [False] * len(self.words)

    @classmethod
    def of(cls, sentence: str) -> Reading:
        """A sentence that nobody has read."""
        return cls(sentence, words_of(sentence))

    def text(self, place: int) -> str:
        """The word at a place; empty outside the sentence and for one that is taken."""
        return self.words[place].text if 0 <= place < len(self.words) and not self.taken[place] else ""

    def says(self, place: int, wanted: Sequence[str]) -> bool:
        """Whether these words stand at a place, all of them free."""
        return all(self.text(place + offset) == word for offset, word in enumerate(wanted))

    def gap(self, place: int) -> str:
        """The characters between the word before and the one at a place."""
        start = self.words[place - 1].end if place > 0 else 0
        end = self.words[place].start if place < len(self.words) else len(self.sentence)
        return self.sentence[start:end]

    def breaks(self, place: int, marks: str = ".,;:!?()\n") -> bool:
        """Whether a mark of punctuation, or the sentence's edge, parts the word at a place from the one before."""
        return place <= 0 or place >= len(self.words) or any(mark in self.gap(place) for mark in marks)

    def claim(self, first: int, stop: int, kind: Kind, value: str, *, keep: bool = False) -> None:
        """Takes the words first..stop-1 for something; `keep` leaves them in the text too."""
        for place in range(first, stop):
            self.taken[place] = True
        if keep:
            self.kept.update(range(first, stop))
        self.spans.append(Span(self.words[first].start, self.words[stop - 1].end, kind, value))

    def left(self) -> str:
        """The words that nobody took and that say something, as they were written."""
        stay = (i for i, word in enumerate(self.words) if i in self.kept or not (self.taken[i] or word.text in NOISE))
        return " ".join(self.sentence[self.words[place].start : self.words[place].end] for place in stay)


Phrases = Mapping[str, Sequence[tuple[str, ...]]]
"""Phrases by their first word, the longest first."""


def by_first_word(phrases: Collection[tuple[str, ...]]) -> dict[str, list[tuple[str, ...]]]:
    """An index in which the longest phrase that stands at a place is found in a few steps."""
    index: dict[str, list[tuple[str, ...]]] = {}
    for words in sorted(phrases, key=len, reverse=True):
        if words:
            index.setdefault(words[0], []).append(words)
    return index


def longest_at(reading: Reading, place: int, phrases: Phrases) -> tuple[str, ...] | None:
    """The longest of the phrases that stands at a place, or None."""
    return next((words for words in phrases.get(reading.text(place), ()) if reading.says(place, words)), None)
