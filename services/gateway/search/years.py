"""Years in a sentence: digits, decades in words, open and closed ranges."""

from __future__ import annotations

import re
from typing import NamedTuple

from services.gateway.search.moments import Moment, moment_at
from services.gateway.search.query import Kind, Years
from services.gateway.search.words import Reading, bag, by_first_word, longest_at, table_of

_OPENERS = table_of("""
<: before; prior to; pre; older than; earlier than
<=: until; till; up to; through
>: after; post; newer than; later than; more recent than; younger than
>=: since; from; starting; starting in; beginning in
~: around; circa; approximately; roughly; near; some time around
=: in; of; during; the; in the; of the; from the; during the; year; the year; from the year; of the year; in the year
=: years; throughout; throughout the
""")
_CLOSERS = table_of("""
>=: onwards; onward; on; and on; or later; and later; or newer; and newer; or after; and after; and up; and beyond
>=: to now; to today; to the present; till now; until now; until today
<=: or earlier; and earlier; or older; and older; or before; and before
""")
_ERAS = table_of("""
1929: silent film; silent films; silent movie; silent movies; silent era; silent cinema
1929: before sound; before the talkies
1939: before colour; before color; before technicolor
""")
"""Ends of eras, as film history has them."""
_OPENER_SIGNS = {words: sign for sign, phrases in _OPENERS.items() for words in phrases}
_CLOSER_SIGNS = {words: sign for sign, phrases in _CLOSERS.items() for words in phrases}
_ERA_ENDS = {words: int(year) for year, phrases in _ERAS.items() for words in phrases}
_OPENERS_BY_WORD = by_first_word(_OPENER_SIGNS)
_CLOSERS_BY_WORD = by_first_word(_CLOSER_SIGNS)
_ERAS_BY_WORD = by_first_word(_ERA_ENDS)
_OPPOSITE = {"<": ">=", ">": "<=", "<=": ">", ">=": "<"}
_MADE = bag("made released filmed shot produced from come comes out dating the is are was were any")
_UNTIL = frozenset({"to", "till", "until", "through", "thru", "and", "or"})
_WHOSE = frozenset({"his", "her", "their", "my", "your", "our"})
_NOT = frozenset({"not", "no", "nothing", "never", "nor", "none", "except", "without"})
_NOT_PAIRS = frozenset({("anything", "but"), ("other", "than"), ("apart", "from"), ("instead", "of")})
_NEAR = 2
"""Years to either side of "around 1975"."""


class YearsSaid(NamedTuple):
    """What a sentence says about years."""

    wanted: Years | None
    unwanted: tuple[Years, ...]
    """Closed ranges: "not the nineties". What is not before a year is wanted from that year on."""


class _Here(NamedTuple):
    years: Years
    refused: bool
    stop: int
    """The word after it."""


def read_years(reading: Reading, last_year: int) -> YearsSaid:
    """Claims everything said about years; `last_year` is where open spans of time such as "the last decade" end.

    Several that are wanted are one range: closed ones add up ("the seventies and eighties"), open ends cut. Ends that
    leave nothing are no filter.
    """
    wanted, unwanted, place = list[Years](), list[Years](), 0
    while place < len(reading.words):
        here = _at(reading, place, last_year)
        if here is None:
            place += 1
        else:
            (unwanted if here.refused else wanted).append(here.years)
            place = here.stop
    return YearsSaid(_together(wanted), tuple(dict.fromkeys(unwanted)))


def _together(found: list[Years]) -> Years | None:
    closed = [years for years in found if years.first is not None and years.last is not None]
    low = max((years.first for years in found if years.first is not None and years not in closed), default=None)
    high = min((years.last for years in found if years.last is not None and years not in closed), default=None)
    if not closed:
        crossed = low is not None and high is not None and low > high
        return None if crossed or (low is None and high is None) else Years(low, high)
    first, last = min(years.first or 0 for years in closed), max(years.last or 0 for years in closed)
    cut = max(first, low or first), min(last, high or last)
    return Years(*cut) if cut[0] <= cut[1] else Years(first, last)


def _at(reading: Reading, place: int, last_year: int) -> _Here | None:
    """What a place says about years, claimed."""
    if era := longest_at(reading, place, _ERAS_BY_WORD):
        end = _ERA_ENDS[era]
        return _claimed(reading, place, Moment(end, end, place + len(era)), "<=")
    if reading.text(place) in ("between", "from") and (pair := _range(reading, place + 1, last_year)):
        return _claimed(reading, place, pair, "=")
    opener = longest_at(reading, place, _OPENERS_BY_WORD)
    if opener is None:
        return _plain(reading, place, place, "=", last_year)
    start = place + len(opener)
    op = _OPENER_SIGNS[opener]
    if op != "=":
        while reading.text(start) in ("the", "year", "about"):
            start += 1
    return _plain(reading, place, start, op, last_year)


def _plain(reading: Reading, place: int, start: int, op: str, last_year: int) -> _Here | None:
    """A year or a range of them at `start`, whose opening words begin at `place`."""
    pair = _range(reading, start, last_year) if op in ("=", ">=", "~") else None
    found = pair or moment_at(reading, start, last_year)
    if found is None or reading.text(place - 1) in _WHOSE:
        return None
    stop, closer = found.stop, longest_at(reading, found.stop, _CLOSERS_BY_WORD)
    if op == ">=" and (pair or (reading.text(place) == "from" and closer is None)):
        op = "="
    if closer is not None and op in ("=", ">="):
        op, stop = _CLOSER_SIGNS[closer], stop + len(closer)
    return _claimed(reading, place, found._replace(stop=stop), op)


def _claimed(reading: Reading, place: int, found: Moment, op: str) -> _Here:
    """A moment and what is said of it, with the "not made" before it: the opposite, where that is one range."""
    place, refused = _back(reading, place)
    if refused and op in _OPPOSITE:
        op, refused = _OPPOSITE[op], False
    years = {
        "=": Years(found.first, found.last),
        "<": Years(None, found.first - 1),
        "<=": Years(None, found.last),
        ">": Years(found.last + 1, None),
        ">=": Years(found.first, None),
        "~": Years(found.first - _NEAR, found.last + _NEAR),
    }[op]
    kind: Kind = "not_years" if refused else "years"
    reading.claim(place, found.stop, kind, f"{years.first or ''}-{years.last or ''}")
    return _Here(years, refused, found.stop)


def _back(reading: Reading, place: int) -> tuple[int, bool]:
    """Where "not made" before a place begins, and whether there is a "not"; "why not" is none."""
    at = place
    while not reading.breaks(at) and reading.text(at - 1) in _MADE:
        at -= 1
    if reading.breaks(at):
        return at, False
    if (reading.text(at - 2), reading.text(at - 1)) in _NOT_PAIRS:
        return at - 2, True
    refused = reading.text(at - 1) in _NOT and reading.text(at - 2) != "why"
    return at - refused, refused


def _range(reading: Reading, place: int, last_year: int) -> Moment | None:
    """ "1980 to 1985", "1980-85", "the seventies and the eighties"."""
    first = moment_at(reading, place, last_year)
    if first is None:
        return None
    stop = first.stop
    if reading.text(stop) in _UNTIL:
        stop += 1
        while reading.text(stop) in ("the", "from"):
            stop += 1
    elif not re.fullmatch(r"\s*[-\u2010-\u2015/]\s*", reading.gap(stop)):
        return None
    second = moment_at(reading, stop, last_year) or _short(reading, stop, first.first)
    return Moment(first.first, second.last, second.stop) if second and second.last >= first.first else None


def _short(reading: Reading, place: int, first: int) -> Moment | None:
    """The 85 of 1980-85."""
    text = reading.text(place)
    if re.fullmatch(r"[0-9]{2}", text):
        year = first // 100 * 100 + int(text)
        return Moment(year, year, place + 1)
    return None
