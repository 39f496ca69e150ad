"""How many, and in which order."""

from __future__ import annotations

from typing import get_args

from services.gateway.search.query import Sort
from services.gateway.search.words import NOISE, OBJECTS, Reading, bag, by_first_word, longest_at, table_of

MOST = 100
"""More are not asked for in words."""

_NUMBERS = """
one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen
nineteen twenty
"""
_COUNTS = {word: number for number, word in enumerate(_NUMBERS.split(), start=1)}
_COUNTS |= {"dozen": 12, "couple": 2, "thirty": 30, "fifty": 50}
_UNITS = frozenset({"year", "years", "minute", "minutes", "hour", "hours", "star", "stars", "percent"})
"""Numbers of these count no films."""
_ASKS = bag("top best show give recommend suggest list find get me first another exactly only most")
_SORTS = table_of("""
newest: newest; latest; most recent; recent; brand new; new; fresh; just out; recently released
oldest: oldest; earliest; the very first
best: best; greatest; top; top rated; highest rated; best rated; highly rated; finest; acclaimed; critically acclaimed
best: must see; award winning; masterpiece; masterpieces; excellent
popular: popular; most popular; most watched; most viewed; well known; famous; blockbuster; blockbusters; hit; hits
popular: everybody likes; everyone likes; everybody knows; everyone knows; trending
""")
_SORT_OF: dict[tuple[str, ...], Sort] = {words: sort for sort in get_args(Sort) for words in _SORTS[sort]}
_SORTS_BY_WORD = by_first_word(_SORT_OF.keys())
_ALWAYS = frozenset({"newest", "latest", "recent", "popular", "oldest"})
"""Words that say an order whatever comes after them; "new" and "best" may be New York and best friends."""


def read_count(reading: Reading) -> int | None:
    """Claims how many items are asked for: "top 10", "five films", "at most 20"."""
    for place in range(len(reading.words)):
        number = _number(reading.text(place))
        if number is None or _unit(reading, place + 1):
            continue
        asked = reading.text(place - 1) in _ASKS and not reading.breaks(place)
        at_most = reading.says(place - 2, ("at", "most")) or reading.says(place - 2, ("up", "to"))
        if asked or at_most or (number > 1 and _of_items(reading, place + 1)) or _stands_alone(reading, place):
            first = place - 2 if at_most else place
            reading.claim(first, place + 1, "count", str(number))
            return number
    return None


def read_sort(reading: Reading) -> Sort | None:
    """Claims the words for an order; the first one counts. Genres, years and counts are to be claimed before."""
    sort: Sort | None = None
    for place in range(len(reading.words)):
        words = longest_at(reading, place, _SORTS_BY_WORD)
        if words is None or reading.text(place - 1) in ("not", "no"):
            continue
        stop = place + len(words)
        if len(words) > 1 or words[0] in _ALWAYS or _of_items(reading, stop) or reading.breaks(stop):
            sort = sort or _SORT_OF[words]
            reading.claim(place, stop, "sort", _SORT_OF[words])
    return sort


def _number(text: str) -> int | None:
    number = _COUNTS.get(text)
    if number is None and text.isascii() and text.isdigit() and len(text) <= 3:
        number = int(text)
    return number if number is not None and 1 <= number <= MOST else None


def _unit(reading: Reading, place: int) -> bool:
    return place < len(reading.words) and reading.words[place].text in _UNITS


def _of_items(reading: Reading, place: int) -> bool:
    """Whether films follow: by that word, or by a genre or years, with an adjective or two between."""
    for at in range(place, min(place + 3, len(reading.words))):
        if reading.breaks(at, ".;:!?()\n,"):
            return False
        if reading.text(at) in OBJECTS or (reading.taken[at] and at not in reading.kept):
            return True
        passing = reading.taken[at] or reading.text(at) in NOISE or longest_at(reading, at, _SORTS_BY_WORD) is not None
        if not passing:
            return False
    return False


def _stands_alone(reading: Reading, place: int) -> bool:
    """ "..., the 15 best": a number whose next word is an order."""
    return longest_at(reading, place + 1, _SORTS_BY_WORD) is not None and not reading.breaks(place + 1)
