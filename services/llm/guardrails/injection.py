"""Prompt injection: texts that try to give the model other orders, scored by the phrases they are made of."""

from __future__ import annotations

from services.llm.guardrails.disguises import encoded, plain, undisguised
from services.llm.guardrails.injection_phrases import MARKS, PHRASES, UNSPACED
from services.llm.guardrails.phrases import Phrases

ENCODED_WEIGHT = 0.5
"""Added when a phrase was written in base64 or hexadecimal: nobody does that by chance."""

_FOUND_BY_WORDS = Phrases(PHRASES)


def signs_of_injection(text: str) -> dict[str, float]:
    """Name -> weight of what speaks for an injection; their sum is the score. Empty for ordinary talk."""
    read = plain(text)
    signs = _signs(read)
    for reading in undisguised(read):
        _add(signs, _signs(reading))
        if any(words in reading and words not in read for words in UNSPACED):
            _add(signs, {"spelt out": 1.0})
    for hidden in encoded(text):
        inner = _signs(plain(hidden))
        if inner:
            _add(signs, {**inner, "encoded": ENCODED_WEIGHT})
    return signs


def _signs(text: str) -> dict[str, float]:
    signs: dict[str, float] = {}
    _add(signs, {"template": max((weight for mark, weight in MARKS.items() if mark in text), default=0.0)})
    for found in _FOUND_BY_WORDS.within(text):
        _add(signs, {found.name: found.weight})
    return {name: weight for name, weight in signs.items() if weight}


def _add(signs: dict[str, float], more: dict[str, float]) -> None:
    for name, weight in more.items():
        signs[name] = max(signs.get(name, 0.0), weight)
