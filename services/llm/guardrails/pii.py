"""Personal data as patterns: bounded in length, linear in time, and checked where numbers carry a checksum.

What a pattern needs on either side of itself keeps titles, years, versions and ISBNs out of it. A bare row of digits is
never a telephone number.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from services.llm.guardrails.payment_numbers import card_end, iban_end

Kind = Literal["EMAIL", "CARD", "IBAN", "PHONE", "IP", "SSN"]

LONGEST = 512
"""Characters that any pattern looks at from its start on."""
CONTEXT = 16
"""Characters before its start that a rule may look at."""
SPACES = " \u00a0\u202f"
DASHES = "\u2011\u2013-"
"""The plain one is the last: so it stands for itself in a character class."""
NUMBER_CHARACTERS = frozenset("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ().+/" + SPACES + DASHES)
"""A match with a space in it has no other characters."""
WORD_MARKS = frozenset("_.%+'@:/()" + DASHES)
"""A match without a space has letters, digits, and no other characters than these."""

_SEP = f"[{SPACES}.{DASHES}]"
_DIGITS = "0123456789"
_DIGIT = re.compile("[0-9]")
ANY_MARK = re.compile("[0-9@]")
"""Personal data has one of these."""

Check = Callable[[re.Match[str]], int | None]


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of personal data."""

    kind: Kind
    pattern: re.Pattern[str]
    check: Check
    """Where what was matched really ends; None when it is not personal data."""
    marks: str
    """Characters of which a match has at least `least`."""
    least: int

    def first(self, text: str, start: int) -> tuple[int, int] | None:
        """(start, end) of the first match from `start` on. Whether there is one at a place depends on nothing else."""
        while match := self.pattern.search(text, start):
            end = self.check(match)
            if end is not None:
                return match.start(), end
            start = match.start() + 1
        return None


_VERSION = re.compile(r"\b(?:v|ver|version|release|build|update|firmware|sections?|chapter|rev)[.:]? ?$", re.IGNORECASE)
_IN_A_WORD = re.compile(rf"[\w.{DASHES}]$")
_YEAR_LAST = re.compile(r"[0-9]{3} [0-9]{3} (?:19|20)[0-9]{2}$")


def _all(match: re.Match[str]) -> int:
    return match.end()


def _phone(match: re.Match[str]) -> int | None:
    digits = len(_DIGIT.findall(match.group()))
    return match.end() if 8 <= digits <= 15 and not _YEAR_LAST.match(match.group()) else None


def _ipv4(match: re.Match[str]) -> int | None:
    before = match.string[max(0, match.start() - CONTEXT) : match.start()]
    in_bounds = all(int(octet) < 256 for octet in match.group().split("."))
    return match.end() if in_bounds and not _IN_A_WORD.search(before) and not _VERSION.search(before) else None


def _ipv6(match: re.Match[str]) -> int | None:
    groups = [group for group in match.group().split(":") if group]
    try:
        ipaddress.IPv6Address(match.group())
    except ValueError:
        return None
    return match.end() if len(groups) >= 3 and _DIGIT.search(match.group()) else None


# Each pattern begins with a character of its own and looks behind it only then: so `re` runs through what is between.
RULES = (
    Rule(
        "EMAIL",
        re.compile(r"(?<![\w.%+-])\w[\w.%+'-]{0,63}+@(?:\w[\w-]{0,62}+\.){1,6}[^\W\d_]{2,24}+"),
        _all, marks="@", least=1,
    ),
    Rule(
        "CARD",
        re.compile(
            rf"[2-6](?<!\w[2-6])(?<![0-9][.,][2-6])(?:[0-9]{{12,18}}+"
            rf"|[0-9]{{3}}({_SEP})[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{1,4}}(?:\1[0-9]{{3}})?"
            rf"|[0-9]{{3}}({_SEP})[0-9]{{6}}\2[0-9]{{4,5}})(?![0-9])"
        ),
        card_end, marks=_DIGITS, least=13,
    ),
    Rule(
        "IBAN",
        re.compile(
            rf"(?<!\w)(?:[A-Z]{{2}}[0-9]{{2}}(?:[{SPACES}{DASHES}]?[A-Z0-9]){{11,30}}+"
            r"|[A-Za-z]{2}[0-9]{2}[A-Za-z0-9]{11,30}+)"
        ),
        iban_end, marks=_DIGITS, least=7,
    ),
    Rule(
        "SSN",
        re.compile(
            rf"[0-8](?<![\w{DASHES}][0-8])[0-9]{{2}}(?<!000)(?<!666)[{DASHES}](?!00)[0-9]{{2}}[{DASHES}]"
            rf"(?!0000)[0-9]{{4}}(?!\w)(?![{DASHES}][0-9])"
        ),
        _all, marks=_DIGITS, least=9,
    ),
    Rule(  # +49 30 1234567, +44 (0)20 7946 0958
        "PHONE",
        re.compile(
            rf"\+(?<![\w+]\+)(?=[1-9])[0-9]{{1,15}}+(?:{_SEP}[0-9](?={_SEP}))?"
            rf"(?:{_SEP}?\([0-9]{{1,4}}\)(?=[{SPACES}]?[0-9]))?(?:(?:{_SEP}|/)?[0-9]{{2,10}}+){{0,6}}+(?![0-9])"
        ),
        _phone, marks=_DIGITS, least=8,
    ),
    Rule(  # (212) 555-0123, 1-212-555-0123
        "PHONE",
        re.compile(
            rf"[1-9(](?<![\w.+/{DASHES}][1-9(])(?<![0-9][{SPACES}][1-9(])"
            rf"(?:(?<=1){_SEP}(?:\([2-9][0-9]{{2}}\)[{SPACES}]?|[2-9][0-9]{{2}}{_SEP})"
            rf"|(?<=\()[2-9][0-9]{{2}}\)[{SPACES}]?|(?<=[2-9])[0-9]{{2}}{_SEP})"
            rf"[2-9][0-9]{{2}}{_SEP}[0-9]{{4}}(?!\w)(?![.{DASHES}][0-9])"
        ),
        _phone, marks=_DIGITS, least=10,
    ),
    Rule(  # 030 1234567, 020 7946 0958, 06 12 34 56 78
        "PHONE",
        re.compile(
            rf"0(?<![\w.+/{DASHES}]0)[1-9](?:[0-9]{{1,3}}[{SPACES}/{DASHES}][0-9]{{6,9}}"
            rf"|[0-9]{{1,3}}({_SEP})[0-9]{{3,4}}\1[0-9]{{3,4}}|({_SEP})[0-9]{{2}}(?:\2[0-9]{{2}}){{3}})"
            rf"(?!\w)(?![.{DASHES}][0-9])"
        ),
        _phone, marks=_DIGITS, least=9,
    ),
    Rule(
        "IP",
        re.compile(rf"[0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}}(?![\w{DASHES}])(?!\.[0-9])"),
        _ipv4, marks=".", least=3,
    ),
    Rule(
        "IP",
        re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}|:)(?::[0-9A-Fa-f]{0,4}){2,7}+(?![\w:])"),
        _ipv6, marks=":", least=2,
    ),
)  # fmt: skip
"""In the order in which they claim a place that two of them match at."""

MARKS = tuple({rule.marks for rule in RULES})
"""What is counted in a text before any pattern is tried."""
