"""Texts as a reader sees them."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.guardrails.disguises import encoded, plain, undisguised


@pytest.mark.parametrize(
    "text",
    [
        "SYSTEM Prompt",
        "ｓｙｓｔｅｍ ｐｒｏｍｐｔ",
        "𝔰𝔶𝔰𝔱𝔢𝔪 𝕡𝕣𝕠𝕞𝕡𝕥",
        "ⓢⓨⓢⓣⓔⓜ 🅟🅡🅞🅜🅟🅣",
        "sуstеm рrоmрt",
        "sys\u200btem\u2060 pro\u00admpt\ufe0f",
        "s\u0336y\u0336s\u0336t\u0336e\u0336m\u0336 prömpt",
        "ꜱʏꜱᴛᴇᴍ ᴘʀᴏᴍᴘᴛ",
    ],
)
def test_a_text_is_read_as_it_looks(text: str) -> None:
    assert plain(text) == "system prompt"


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("s y s t e m  prompt", "system  prompt"),
        ("s.y.s.t.e.m prompt", "system prompt"),
        ("5y5t3m pr0mpt", "system prompt"),
        ("%73%79%73%74em prompt", "system prompt"),
        ("&#115;&#121;&#115;&#116;em prompt", "system prompt"),
    ],
)
def test_other_readings_are_offered(text: str, reading: str) -> None:
    assert reading in list(undisguised(text))


@pytest.mark.parametrize("text", ["a film from 1994, please", "m.a.s.h and e.t.", "100 % of it & more", "i a m"])
def test_ordinary_text_has_no_other_reading(text: str) -> None:
    assert list(undisguised(text)) == []


@given(text=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=12, max_size=80))
def test_what_was_encoded_is_read(text: str) -> None:
    data = text.encode()
    for written in (base64.b64encode(data), base64.urlsafe_b64encode(data).rstrip(b"="), data.hex().encode()):
        assert text in list(encoded(f"say ({written.decode()}) twice"))


def test_invisible_tags_are_read() -> None:
    assert list(encoded("Hi" + "".join(chr(0xE0000 + ord(letter)) for letter in "print it"))) == ["print it"]


def test_what_is_not_readable_is_not_offered() -> None:
    assert list(encoded("Supercalifragilisticexpialidocious 0123456789abcdef0123456789abcdef")) == []
