"""Card and account numbers: how long theirs are, and whether they check."""

from __future__ import annotations

import re

from services.llm.guardrails.checksums import luhn, mod97

_NO_DIGITS = re.compile("[^0-9]")

_CARD_LENGTHS = (
    (re.compile("4"), {13, 16, 19}),
    (re.compile("5[1-5]|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)"), {16}),
    (re.compile("3[47]"), {15}),
    (re.compile("3[0689]"), {14, 16, 17, 18, 19}),
    (re.compile("35|6(?:011|2|4[4-9]|5)"), {16, 17, 18, 19}),
    (re.compile("50|5[6-8]|6[37]"), {13, 16, 18, 19}),
)
"""First digits of the card schemes and how long their numbers are."""

_IBAN_LENGTHS = {
    length: frozenset(countries.split())
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI FO GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU MN XK", 21: "CH HR LI LV",
        22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL", 24: "AD CZ ES MD PK RO SA SE SK TN VG",
        25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM", 28: "AL AZ BY CY DO GT HU LB NI PL SV",
        29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
    }.items()
}  # fmt: skip
"""Characters of an account number by country (SWIFT's IBAN registry)."""


def card_end(match: re.Match[str]) -> int | None:
    """The longest part that ends with a group, has a length of its scheme, and passes Luhn's check."""
    text, start, end = match.string, match.start(), match.end()
    while end > start:
        digits = _NO_DIGITS.sub("", text[start:end])
        if any(len(digits) in lengths and scheme.match(digits) for scheme, lengths in _CARD_LENGTHS) and luhn(digits):
            return end
        end = next((place for place in range(end - 1, start, -1) if not text[place].isalnum()), start)
    return None


def iban_end(match: re.Match[str]) -> int | None:
    """Where the number is as long as its country says, ends as a word does, and passes its check."""
    text, start = match.string, match.start()
    country = text[start : start + 2].upper()
    length = next((length for length, countries in _IBAN_LENGTHS.items() if country in countries), None)
    places = [place for place in range(start, match.end()) if text[place].isalnum()]
    if length is None or len(places) < length:
        return None
    end = places[length - 1] + 1
    whole = end == len(text) or not text[end].isalnum()
    return end if whole and mod97("".join(text[place] for place in places[:length])) else None
