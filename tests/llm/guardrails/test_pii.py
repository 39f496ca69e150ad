"""What is personal data, and what only looks like it."""

from __future__ import annotations

import pytest

from services.llm.guardrails.pii import LONGEST, RULES
from services.llm.guardrails.redaction import redacted

FOUND = [
    ("write to bob@example.org.", "write to [EMAIL]."),
    ("<Anna.Maria+films@mail.example.co.uk>", "<[EMAIL]>"),
    ("mailto:o'neil_99@x-y.museum?subject=1984", "mailto:[EMAIL]?subject=1984"),
    ("josé@bücher.example", "[EMAIL]"),
    ("a@b.io,c@d.io", "[EMAIL],[EMAIL]"),
    ("card 4111 1111 1111 1111 please", "card [CARD] please"),
    ("4111-1111-1111-1111 123", "[CARD] 123"),
    ("4111111111111111", "[CARD]"),
    ("amex 3782 822463 10005!", "amex [CARD]!"),
    ("5555.5555.5555.4444", "[CARD]"),
    ("6011\u00a01111\u00a01111\u00a01117", "[CARD]"),
    ("2223003122003222", "[CARD]"),
    ("4000 4111 1111 1111 1111", "4000 [CARD]"),
    ("IBAN DE89 3704 0044 0532 0130 00 is mine", "IBAN [IBAN] is mine"),
    ("GB29NWBK60161331926819", "[IBAN]"),
    ("gb29nwbk60161331926819", "[IBAN]"),
    ("GB29 NWBK 6016 1331 9268 19 THANKS A LOT", "[IBAN] THANKS A LOT"),
    ("NO93 8601 1117 947.", "[IBAN]."),
    ("call +1 212 555 0123 now", "call [PHONE] now"),
    ("+49 (0)30 1234567", "[PHONE]"),
    ("tel:+491701234567", "tel:[PHONE]"),
    ("+44 20 7946 0958", "[PHONE]"),
    ("(212) 555-0123", "[PHONE]"),
    ("1-800-555-0199 or 212.555.0123", "[PHONE] or [PHONE]"),
    ("030 1234567", "[PHONE]"),
    ("020 7946 0958", "[PHONE]"),
    ("0171/1234567", "[PHONE]"),
    ("06 12 34 56 78, 06.12.34.56.78", "[PHONE], [PHONE]"),
    ("+33\u202f6\u202f12\u202f34\u202f56\u202f78", "[PHONE]"),
    ("from 192.168.1.254.", "from [IP]."),
    ("[2001:db8::8a2e:370:7334]", "[[IP]]"),
    ("fe80:0:0:0:200:f8ff:fe21:67cf", "[IP]"),
    ("SSN 123-45-6789", "SSN [SSN]"),
    ("bob@example.org paid with 4111111111111111 from 10.0.0.1", "[EMAIL] paid with [CARD] from [IP]"),
]

NEAR_MISSES = [
    "1984",
    "12 Angry Men",
    "2001: A Space Odyssey",
    "Blade Runner 2049, 1917, 300 and 21 Grams",
    "The 400 Blows (1959) and 8½",
    "10 Things I Hate About You, 50 First Dates, 101 Dalmatians",
    "Se7en, tt0111161, U-571, K-19, District 9",
    "films from 1990-1999 and 2000 2001 2002 2003 2004",
    "2008 2010 2012 2014, or 1994 1995 1996 1999",
    "ISBN 978-0-306-40615-7 or 9780306406157",
    "ISBN 0-306-40615-2 or 0306406152",
    "on 01-02-2003, 2003-02-01, 01.02.2003, 1/2/2003 at 12:30:45",
    "version 1.2.3.4, v10.0.0.1 and release 2.31.0",
    "section 1.2.3.4 of 1.2.3.4.5",
    "300.1.2.3 and 1.2.3",
    "rated 8.5/10 by 1,234,567 people, $2,787,965,087 gross",
    "order 1234567890123456 of item 318296356527",
    "items 318 296 356 527 593 2571",
    "it made 300 500 2001 times the cost",
    "@username said hi @ 5.99, a@b, user@localhost",
    "000-12-3456 and 666-12-3456, 123-00-4567",
    "12-345-6789 and 1234-56-7890",
    "4111 1111 1111 1112",
    "4111 1111 1111 11111",
    "DE89 3704 0044 0532 0130 01",
    "XX89 3704 0044 0532 0130 00",
    "std::vector, a::b, 10::20, dead::beef",
    "at 12:30:45:10, ratio 16:9, John 3:16",
    "+10 points, +100 %, C++17",
    "007: No Time to Die, 127 Hours, 13 Going on 30",
    "ACTION 2012 DRAMA 2013 COMEDY 2014 HORROR 2015",
    "3.4111111111111111",
    "9 3/4, 24/7, 7-11, 365 days",
    "",
]


@pytest.mark.parametrize(("text", "expected"), FOUND)
def test_personal_data_is_replaced_by_its_kind(text: str, expected: str) -> None:
    assert redacted(text)[0] == expected
    assert redacted(f"Hello {text} world")[0] == f"Hello {expected} world"


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert redacted(text)[0] == text


def test_kinds_are_counted_and_may_be_chosen() -> None:
    text = "a@b.io, c@d.io and 10.0.0.1"
    assert redacted(text)[1] == {"EMAIL": 2, "IP": 1}
    assert redacted(text, [rule for rule in RULES if rule.kind == "IP"]) == ("a@b.io, c@d.io and [IP]", {"IP": 1})


@pytest.mark.parametrize(
    "text",
    [
        "1" * 100_000,
        "a" * 100_000,
        "1 " * 50_000,
        "1-" * 50_000,
        "a@" * 50_000,
        "a." * 50_000 + "@",
        "a@" + "b." * 50_000,
        "a@b.c1" * 17_000,
        "+1" * 50_000,
        "+1 (" * 25_000,
        "4111 1111 1111 1112 " * 5_000,
        "DE89 " * 20_000,
        "DE" + "89" * 50_000,
        "1:" * 50_000,
        "::" * 50_000,
        "1.2.3." * 17_000,
        "a@b.io " * 14_000,
        "010 " * 25_000,
    ],
    ids=lambda text: text[:12],
)
def test_a_hostile_text_takes_no_longer_than_its_length(text: str) -> None:
    # 100 kB take tens of milliseconds where work is in proportion, and hours where it is not.
    redacted(text)


def test_no_pattern_looks_further_than_the_bound() -> None:
    for rule in RULES:
        assert widest(rule.pattern.pattern) <= LONGEST


def widest(pattern: str) -> int:
    """Most characters that a pattern can match: what `re` itself computes of it."""
    from re import _parser  # type: ignore[attr-defined]  # the only place that knows

    return int(_parser.parse(pattern).getwidth()[1])
