"""One moment in a sentence: a year, a decade, a part of a century."""

from __future__ import annotations

import re
from typing import NamedTuple

from services.gateway.search.typos import one_typo
from services.gateway.search.words import Reading

_TENS_SAID = "twenty thirty forty fifty sixty seventy eighty ninety"
_TENS = {word: 10 * tens for tens, word in enumerate(_TENS_SAID.split(), start=2)}
_DECADES = {word[:-1] + "ies": tens for word, tens in _TENS.items()}
_UNITS_SAID = "one two three four five six seven eight nine"
_UNITS = {word: unit for unit, word in enumerate(_UNITS_SAID.split(), start=1)}
_CENTURIES = {"nineteenth": 1800, "19th": 1800, "twentieth": 1900, "20th": 1900, "21st": 2000}
_PARTS = {"early": (0, 3), "mid": (4, 6), "middle": (4, 6), "late": (7, 9)}
"""Which years of a decade, both included."""
_PARTS_OF_CENTURY = {("first", "half"): (0, 49), ("second", "half"): (50, 99), ("last", "decade"): (90, 99)} | {
    ("first", "decade"): (0, 9), ("early",): (0, 33), ("mid",): (34, 66), ("late",): (67, 99)
}  # fmt: skip


class Moment(NamedTuple):
    """Years first to last, both included."""

    first: int
    last: int
    stop: int
    """The word after it."""


def moment_at(reading: Reading, place: int, last_year: int) -> Moment | None:
    """The year, decade or part of a century at a place; `last_year` says which "20s" are meant."""
    return (
        _century(reading, place)
        or _lately(reading, place, last_year)
        or _part(reading, place, last_year)
        or _simple(reading, place, last_year)
    )


def _part(reading: Reading, place: int, last_year: int) -> Moment | None:
    """ "late eighties", "mid-90s", "the early years of the sixties"."""
    if reading.text(place) == "the":
        place += 1
    part = _PARTS.get(reading.text(place))
    if part is None:
        return None
    start = place + 1
    while reading.text(start) in ("the", "of", "years", "to"):
        start += 1
    found = _simple(reading, start, last_year)
    if found is None or found.last - found.first != 9:
        return None
    return Moment(found.first + part[0], found.first + part[1], found.stop)


def _simple(reading: Reading, place: int, last_year: int) -> Moment | None:
    if reading.text(place) == "the":
        place += 1
    text = reading.text(place)
    if re.fullmatch(r"(?:18|19|20)[0-9]{2}", text):
        return Moment(int(text), int(text), place + 1)
    if re.fullmatch(r"(?:18|19|20)[0-9]0s", text):
        return Moment(int(text[:4]), int(text[:4]) + 9, place + 1)
    if re.fullmatch(r"[0-9]0s", text):
        return _decade(int(text[:2]), place + 1, last_year)
    if re.fullmatch(r"[0-9]{2}", text) and reading.gap(place).endswith(("'", "\u2019")):
        return Moment(1900 + int(text), 1900 + int(text), place + 1)
    if text == "nineteen" or (text and one_typo(text, "nineteen")):
        return _spoken(reading, place + 1)
    tens = _tens_of(text)
    return None if tens is None else _decade(tens, place + 1, last_year)


def _tens_of(text: str) -> int | None:
    if text in _DECADES:
        return _DECADES[text]
    return next((tens for word, tens in _DECADES.items() if text[:1] == word[0] and one_typo(text, word)), None)


def _decade(tens: int, stop: int, last_year: int) -> Moment:
    """The latest decade of that name that has begun."""
    first = last_year // 100 * 100 + tens
    first -= 100 if first > last_year else 0
    return Moment(first, first + 9, stop)


def _spoken(reading: Reading, place: int) -> Moment | None:
    """What follows "nineteen": "eighties", "eighty-four", "fifty"."""
    text = reading.text(place)
    if (decade := _tens_of(text)) is not None:
        return Moment(1900 + decade, 1909 + decade, place + 1)
    if text not in _TENS:
        return None
    unit = _UNITS.get(reading.text(place + 1))
    year = 1900 + _TENS[text] + (unit or 0)
    return Moment(year, year, place + 1 + (unit is not None))


def _lately(reading: Reading, place: int, last_year: int) -> Moment | None:
    """ "the last ten years", "the past decade"."""
    place += reading.text(place) == "the"
    if reading.text(place) not in ("last", "past"):
        return None
    if reading.text(place + 1) == "decade":
        return Moment(last_year - 9, last_year, place + 2)
    text = reading.text(place + 1)
    count = int(text) if re.fullmatch(r"[0-9]{1,2}", text) else (_UNITS | _TENS | {"ten": 10}).get(text)
    if not count or not reading.says(place + 2, ("years",)):
        return None
    return Moment(last_year - count + 1, last_year, place + 3)


def _century(reading: Reading, place: int) -> Moment | None:
    """ "the first half of the twentieth century", "the 20th century"."""
    if reading.text(place) == "the":
        place += 1
    part = (0, 99)
    for words, years in _PARTS_OF_CENTURY.items():
        if reading.says(place, words):
            part, place = years, place + len(words)
            while reading.text(place) in ("of", "the"):
                place += 1
            break
    century = _CENTURIES.get(reading.text(place))
    if century is None or reading.text(place + 1) != "century":
        return None
    return Moment(century + part[0], century + part[1], place + 2)
