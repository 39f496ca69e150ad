"""What a sentence asks for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal["genre", "not_genre", "years", "not_years", "like", "title", "person", "sort", "count", "left"]
Sort = Literal["newest", "oldest", "best", "popular"]


@dataclass(frozen=True, slots=True)
class Years:
    """The years from `first` to `last`, both included; None is open."""

    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class Span:
    """Characters start to end of a sentence, and what they were taken for."""

    start: int
    end: int
    kind: Kind
    value: str
    """What they mean, for a person: "Comedy", "1990-1999", "Matrix, The"."""


@dataclass(frozen=True, slots=True)
class Query:
    """A sentence as filters and wishes; everything is empty for a sentence that says nothing the parser knows."""

    sentence: str
    text_left: str = ""
    """Words that mean something and that nothing else here stands for: what full text and vectors are to find."""
    genres: tuple[str, ...] = ()
    """Wanted genres, in the catalog's spelling."""
    implied: tuple[str, ...] = ()
    """Those of the wanted genres that nobody named: a subject implies them, or a model guessed them."""
    any_genre: bool = False
    """True: one of the genres is enough ("a comedy or a drama"); False: all of them."""
    not_genres: tuple[str, ...] = ()
    """Genres that are not wanted."""
    years: Years | None = None
    not_years: tuple[Years, ...] = ()
    """Closed ranges that are not wanted."""
    like: tuple[str, ...] = ()
    """Titles that the wanted ones resemble, in the catalog's spelling."""
    like_ids: tuple[int, ...] = ()
    """Every item with one of those titles."""
    named: tuple[str, ...] = ()
    """The title that is the whole sentence, when it is one; the text is kept in `text_left` too."""
    people: tuple[str, ...] = ()
    """Creators of the catalog."""
    sort: Sort | None = None
    n: int | None = None
    """How many items are asked for."""
    spans: tuple[Span, ...] = ()
    """What was recognised, in the sentence's order, without overlap."""

    def pieces(self) -> Iterator[Span]:
        """The whole sentence in pieces: the spans, and between them what is left. Joined they are the sentence."""
        end = 0
        for span in self.spans:
            if span.start > end:
                yield Span(end, span.start, "left", self.sentence[end : span.start])
            yield span
            end = span.end
        if end < len(self.sentence):
            yield Span(end, len(self.sentence), "left", self.sentence[end:])
