"""Text to terms: lower case, without accents, plurals and words that say nothing."""

from __future__ import annotations

import re
import unicodedata
import zlib

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_APOSTROPHES = re.compile(r"['\u2019]")

_SAYS_NOTHING = """
a about all an and any are as at be but by can do for from had has have i if in into is it its like me my of on or our
so some that the their them there these they this to us was we were what which who will with you your film movie
"""
STOP_WORDS = frozenset(_SAYS_NOTHING.split())
"""Not searched for beside others; documents keep them, for there is a film It and another Them."""


def terms_of(text: str) -> list[str]:
    """The terms of a text in its order, repeated ones repeated."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(c))
    words = (word.removesuffix("'s").removesuffix("\u2019s") for word in _WORD.findall(plain))
    return [singular(_APOSTROPHES.sub("", word)) for word in words]


def asked_terms(text: str) -> list[str]:
    """The terms of a question: without stop words, unless it has no other word."""
    terms = terms_of(text)
    return [term for term in terms if term not in STOP_WORDS] or terms


def singular(word: str) -> str:
    """Harman's s-stemmer ("How effective is suffixing?", 1991): three rules that only ever take a plural away."""
    if len(word) < 4:
        return word
    if word.endswith("ies") and word[-4] not in "ae":
        return word[:-3] + "y"
    if word.endswith("es") and word[-3] not in "aeo":
        return word[:-1]
    if word.endswith("s") and word[-2] not in "us":
        return word[:-1]
    return word


def term_id(term: str) -> int:
    """A term's coordinate in a sparse vector, the same in every process: 32 bits, as Qdrant keeps them."""
    return zlib.crc32(term.encode("utf-8", "surrogatepass"))
