from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.search.query import Years
from services.gateway.search.words import Reading
from services.gateway.search.years import YearsSaid, read_years

SAID = {
    "in 1994": (1994, 1994),
    "a film of '85": (1985, 1985),
    "the 90s": (1990, 1999),
    "90's comedies": (1990, 1999),
    "nineties": (1990, 1999),
    "the 1950s": (1950, 1959),
    "from the twenties": (1920, 1929),
    "nineteen eighty-four": (1984, 1984),
    "the nineteen sixties": (1960, 1969),
    "late eighties": (1987, 1989),
    "since 1980 until 1990": (1980, 1990),
    "early 70s": (1970, 1973),
    "mid-90s": (1994, 1996),
    "before 1970": (None, 1969),
    "pre-war, pre-1940": (None, 1939),
    "until 1970": (None, 1970),
    "before the seventies": (None, 1969),
    "after 1980": (1981, None),
    "after the eighties": (1990, None),
    "since 2000": (2000, None),
    "1985 onwards": (1985, None),
    "1985 or later": (1985, None),
    "from 1990 on": (1990, None),
    "not older than 1980": (1980, None),
    "no later than 1955": (None, 1955),
    "nothing made after 1980": (None, 1980),
    "between 1980 and 1985": (1980, 1985),
    "from 1939 to 1945": (1939, 1945),
    "1980-85": (1980, 1985),
    "from the seventies to the nineties": (1970, 1999),
    "the 60s or 70s": (1960, 1979),
    "made after 1960 and before 1970": (1961, 1969),
    "around 1975": (1973, 1977),
    "the last decade of the 20th century": (1990, 1999),
    "first half of the twentieth century": (1900, 1949),
    "the 20th century": (1900, 1999),
    "silent movies": (None, 1929),
    "the last ten years": (1991, 2000),
    "eigthies": (1980, 1989),
    "no silent movies": (1930, None),
    "the nineties but not 1994": (1990, 1999),
    "why not the nineties?": (1990, 1999),
}
UNWANTED = {
    "not from the 80s": [(1980, 1989)],
    "anything but the nineties": [(1990, 1999)],
    "nothing made between 1990 and 1995": [(1990, 1995)],
    "not from the sixties to the eighties": [(1960, 1989)],
    "without 1994, and not around 1975": [(1994, 1994), (1973, 1977)],
    "the nineties but not 1994": [(1994, 1994)],
    "not before 1970": [],
    "no, the nineties": [],
}
NOT_SAID = [
    "a man in his seventies",
    "12 angry men",
    "90 minutes",
    "3000 miles",
    "the war years",
    "before midnight",
    "after 1990 and before 1980",
    "",
]


@pytest.mark.parametrize(("sentence", "years"), SAID.items())
def test_years_are_read_as_they_are_said(sentence: str, years: tuple[int | None, int | None]) -> None:
    assert read_years(Reading.of(sentence), 2000).wanted == Years(*years)


@pytest.mark.parametrize("sentence", NOT_SAID)
def test_what_is_no_year_is_none(sentence: str) -> None:
    assert read_years(Reading.of(sentence), 2000) == YearsSaid(None, ())


@pytest.mark.parametrize(("sentence", "unwanted"), UNWANTED.items())
def test_years_that_are_not_wanted_are_told_apart(sentence: str, unwanted: list[tuple[int, int]]) -> None:
    assert read_years(Reading.of(sentence), 2000).unwanted == tuple(Years(*years) for years in unwanted)


def test_a_decade_is_the_last_one_that_has_begun() -> None:
    assert read_years(Reading.of("the 20s"), 2026).wanted == Years(2020, 2029)
    assert read_years(Reading.of("the 20s"), 2000).wanted == Years(1920, 1929)


def test_the_whole_saying_is_the_span() -> None:
    reading = Reading.of("comedies from the late eighties, please")
    read_years(reading, 2000)
    assert ["comedies from the late eighties, please"[span.start : span.end] for span in reading.spans] == [
        "from the late eighties"
    ]


@given(first=st.integers(1900, 1999), more=st.integers(0, 40))
@settings(max_examples=60, derandomize=True)
def test_the_forms_of_a_range_agree(first: int, more: int) -> None:
    last = first + more
    forms = (
        f"between {first} and {last}",
        f"from {first} to {last}",
        f"{first}-{last}",
        f"since {first}, until {last}",
    )
    assert {read_years(Reading.of(form), 2020).wanted for form in forms} == {Years(first, last)}
