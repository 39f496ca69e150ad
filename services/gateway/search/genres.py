"""Genres in a sentence, wanted and unwanted."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.gateway.search.lexicon import Saying, Sayings
from services.gateway.search.query import Kind
from services.gateway.search.words import OBJECTS, Reading, bag, longest_at

_UNWANTED = bag("""
no not without never nothing neither nor except excluding minus non isnt arent dont doesnt hate avoid skip sans less
cannot cant wont
""")
_UNWANTED_PAIRS = {("anything", "but"), ("other", "than"), ("rather", "than"), ("instead", "of"), ("apart", "from")}
_BETWEEN = bag("""
too very so really any a an the more of about kind sort particularly overly that is be being are with want like need
enjoy film films movie movies full feel in into for mood anything something my your much those all
""")
"""What may stand between "not" and what is not wanted."""
_FAR = 6
_AND = frozenset({"and", "or", "nor", "than", "any", "too"})
_OR = frozenset({"or", "either", "a", "an", "some"})
_CONTRASTS = (("cold", "war"), ("star", "wars"))
"""Wars that are no War."""


@dataclass(slots=True)
class Genres:
    """What was said, in the sentence's order."""

    wanted: dict[str, bool] = field(default_factory=dict)
    """False for one that only a subject implies: "vampires" is not "horror"."""
    unwanted: dict[str, None] = field(default_factory=dict)
    either: bool = False
    """Two wanted ones were joined by "or"."""


@dataclass(frozen=True, slots=True)
class _Said:
    first: int
    stop: int
    saying: Saying
    unwanted: bool
    cue: int
    """Where the words that make it unwanted begin; `first` when there are none."""


def read_genres(reading: Reading, sayings: Sayings) -> Genres:
    """Claims every way of saying a genre, together with the "no" or "without" before it. Linear in the words."""
    genres, before, place = Genres(), None, 0
    while place < len(reading.words):
        said = _said_at(reading, place, sayings, before)
        if said is None:
            place += 1
            continue
        _note(genres, said)
        both_wanted = before is not None and not before.unwanted and not said.unwanted
        genres.either = genres.either or (both_wanted and _joined(reading, before, place, _OR))
        place, before = said.stop, said
        kept = said.saying.subject and not said.unwanted
        kind: Kind = "not_genre" if said.unwanted else "genre"
        reading.claim(said.cue, said.stop, kind, ", ".join(said.saying.genres), keep=kept)
    for genre in genres.wanted:
        genres.unwanted.pop(genre, None)
    return genres


def _note(genres: Genres, said: _Said) -> None:
    for genre in said.saying.genres:
        if said.unwanted:
            genres.unwanted[genre] = None
        else:
            genres.wanted[genre] = genres.wanted.get(genre, False) or not said.saying.subject


def _said_at(reading: Reading, place: int, sayings: Sayings, before: _Said | None) -> _Said | None:
    """The genre said at a place, or None."""
    found = _saying_at(reading, place, sayings)
    if found is None or any(reading.says(place - 1, words) for words in _CONTRASTS):
        return None
    saying, stop = found
    if saying.audience and not _is_audience(reading, place, stop, sayings):
        return None
    cue = _cue(reading, place)
    if cue is None and before is not None and before.unwanted and _joined(reading, before, place, _AND):
        cue = place
    if cue is None and saying.unwanted_only:
        return None
    return _Said(place, stop, saying, cue is not None, place if cue is None else cue)


def _saying_at(reading: Reading, place: int, sayings: Sayings) -> tuple[Saying, int] | None:
    """The longest saying at a place, or else one of two words or one with a typo, and the place after it."""
    if words := longest_at(reading, place, sayings.phrases):
        return sayings.table[words], place + len(words)
    for count in (2, 1):
        written = [reading.text(at) for at in range(place, place + count)]
        if all(written) and (saying := sayings.meant_by(" ".join(written))):
            return saying, place + count
    return None


def _cue(reading: Reading, place: int) -> int | None:
    """Where the words begin that make what stands at a place unwanted; None when it is wanted."""
    for at in range(place - 1, max(-1, place - 1 - _FAR), -1):
        if reading.breaks(at + 1):
            return None
        here, before = reading.text(at), reading.text(at - 1)
        if (before, here) == ("why", "not"):
            return None
        if (before, here) in _UNWANTED_PAIRS:
            return at - 1
        if here in _UNWANTED:
            return at
        if here not in _BETWEEN:
            return None
    return None


def _joined(reading: Reading, before: _Said | None, place: int, words: frozenset[str]) -> bool:
    """Whether only these words, at least one of them or a slash, stand between what was said before and a place."""
    if before is None:
        return False
    between = [reading.text(at) for at in range(before.stop, place)]
    slash = any("/" in reading.gap(at) for at in range(before.stop, place + 1))
    parted = any(reading.breaks(at, ".;:!?()\n") for at in range(before.stop, place + 1))
    return not parted and (bool(between) or slash) and all(word in words for word in between)


def _is_audience(reading: Reading, place: int, stop: int, sayings: Sayings) -> bool:
    """ "for small kids", "kids' films", "family comedies": those who watch, not those who are watched."""
    after = reading.text(stop)
    attribute = after in OBJECTS or (after,) in sayings.table or after in ("friendly", "entertainment")
    if attribute and not reading.breaks(stop):
        return True
    for at in range(place - 1, max(-1, place - 5), -1):
        if reading.text(at) in ("for", "with") and not reading.breaks(at + 1):
            return reading.text(at) == "for" or any(reading.text(i) in ("my", "our", "the") for i in range(at, place))
    return False
