"""People in a sentence, where the catalog knows any."""

from __future__ import annotations

from services.gateway.search.vocabulary import Vocabulary
from services.gateway.search.words import Reading, by_first_word, longest_at

_BEFORE = frozenset({"by", "with", "starring", "directed", "from", "of", "featuring"})


def read_people(reading: Reading, vocabulary: Vocabulary) -> tuple[str, ...]:
    """Claims full names of the catalog's creators, and the "directed by" before them; nobody else is recognised."""
    if not vocabulary.people:
        return ()
    names, found = by_first_word(vocabulary.people.keys()), dict[str, None]()
    for place in range(len(reading.words)):
        if name := longest_at(reading, place, names):
            first = place
            while reading.text(first - 1) in _BEFORE:
                first -= 1
            found[vocabulary.people[name]] = None
            reading.claim(first, place + len(name), "person", vocabulary.people[name])
    return tuple(found)
