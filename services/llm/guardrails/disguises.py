"""A text as a reader sees it: without invisible characters, look-alikes, spaced letters and simple encodings."""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import unquote

ENCODED_PARTS = 8
"""How many encoded parts of a text are read."""
ENCODED_CHARACTERS = 4096
"""How much of each."""

_CACHED_CHARACTERS = 8192

_LOOKALIKES = {
    **dict(zip("аеорсухіјѕԁһӏвкмнтгꜱʏʀɢɴɪ", "aeopcyxijsdhlbkmhtrsyrgni", strict=True)),
    **dict(zip("αοερτυκνιχγηωβ", "aoeptukvixynwb", strict=True)),
    **dict(zip("ᴀʙᴄᴅᴇꜰʜᴊᴋʟᴍᴏᴘᴛᴜᴠᴡᴢ", "abcdefhjklmoptuvwz", strict=True)),
    "ı": "i", "ł": "l", "ø": "o", "đ": "d", "ƒ": "f", "’": "'", "‘": "'", "…": ".",
}  # fmt: skip
_LETTER_BLOCKS = ((0x1F150, 26), (0x1F170, 26), (0x1F1E6, 26))
"""First code points of alphabets in circles, squares and flags."""
_TAGS = range(0xE0020, 0xE007F)
"""Invisible characters that spell ASCII."""

_SPACED = re.compile(r"(?<!\w)\w(?:[ ._*|/-]\w(?!\w)){4,}")
_BETWEEN = re.compile(r"[ ._*|/-]")
_LEET = str.maketrans("013457@$", "oleastas")
_LEET_ONE = str.maketrans("013457@$", "oieastas")
_MIXED = re.compile(r"[013457@$](?:(?=[a-z])|(?<=[a-z].))")
_WORD = re.compile(r"[A-Za-z0-9+/_-]{16,}")
_URL_SAFE = str.maketrans("-_", "+/")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){10,}")


class _Characters(dict[int, str]):
    """What each character looks like. Characters are looked up once; nothing reorders or grows, so time is linear."""

    def __missing__(self, code: int) -> str:
        letters = unicodedata.normalize("NFKD", chr(code)).casefold()
        seen = "".join(
            _LOOKALIKES.get(letter, letter)
            for letter in letters
            if unicodedata.category(letter) not in ("Mn", "Me", "Cf") and letter not in "\u115f\u1160\u3164\u2800"
        )
        for first, count in _LETTER_BLOCKS:
            if first <= code < first + count:
                seen = chr(ord("a") + code - first)
        if len(self) < _CACHED_CHARACTERS:
            self[code] = seen
        return seen


_CHARACTERS = _Characters()


def plain(text: str) -> str:
    """Small letters, as they look: compatibility forms, accents, look-alikes and invisible characters resolved."""
    return text.lower() if text.isascii() else text.translate(_CHARACTERS)


def undisguised(text: str) -> Iterator[str]:
    """Other readings of a plain text: spaced letters joined, digits as letters, percent signs and entities resolved."""
    if _SPACED.search(text):
        yield _SPACED.sub(lambda match: _BETWEEN.sub("", match.group()), text)
    if _MIXED.search(text):
        yield text.translate(_LEET_ONE)
        yield text.translate(_LEET)
    if text.count("%") > 3:
        yield unquote(text, errors="replace")
    if text.count("&#") > 3:
        yield html.unescape(text)


def encoded(text: str) -> Iterator[str]:
    """What is written in base64, in hexadecimal or in invisible tags within a text, where it is readable."""
    tags = "" if text.isascii() else "".join(chr(ord(letter) - 0xE0000) for letter in text if ord(letter) in _TAGS)
    if tags:
        yield tags
    for _, match in zip(range(ENCODED_PARTS), _WORD.finditer(text), strict=False):
        part = match.group()[:ENCODED_CHARACTERS]
        for digits in _HEX.findall(part):
            yield from _readable(binascii.unhexlify, digits)
        # Letters before it may belong to it or not: only one way of cutting it in fours can be read.
        for start in range(4):
            fours = part[start:].translate(_URL_SAFE)
            fours = fours[:-1] if len(fours) % 4 == 1 else fours
            yield from _readable(base64.b64decode, fours + "=" * (-len(fours) % 4))


def _readable(decode: Callable[[str], bytes], part: str) -> Iterator[str]:
    try:
        text = decode(part).decode("utf-8")
    except ValueError:
        return
    if text.isprintable() or not any(
        unicodedata.category(letter) == "Cc" and letter not in "\n\r\t" for letter in text
    ):
        yield text
