"""Phrases found by their words in order, a few words apart: one pass over a text, whatever the text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)?|[.!?;:\n]")
_STOPS = frozenset(".!?;:\n")
_STOP_WORDS = 2
"""How many words the end of a sentence counts for."""


@dataclass(frozen=True, slots=True, eq=False)
class Phrase:
    """One word of each step after the other, with at most `gap` words between two of them."""

    name: str
    weight: float
    gap: int
    steps: tuple[frozenset[str], ...]


def phrase(name: str, weight: float, gap: int, *steps: str) -> Phrase:
    """A phrase whose steps are written as words with spaces between them."""
    return Phrase(name, weight, gap, tuple(frozenset(step.split()) for step in steps))


class Phrases:
    """Looks for all phrases at once. A word that is in none of them costs one look into a dictionary."""

    def __init__(self, phrases: Iterable[Phrase]) -> None:
        self._places: dict[str, list[tuple[Phrase, int, bool, bool]]] = {}
        """Word -> (phrase, place of the step, is it the first, is it the last), last steps first: a word that is in two
        steps of a phrase does not count for both.
        """
        self._steps = 0
        for found in phrases:
            last = len(found.steps) - 1
            for step in reversed(range(len(found.steps))):
                for word in found.steps[step]:
                    place = (found, self._steps + step, step == 0, step == last)
                    self._places.setdefault(word, []).append(place)
            self._steps += len(found.steps)

    def within(self, text: str) -> list[Phrase]:
        """Those that are in a text of small letters."""
        reached = [_NEVER] * self._steps
        matched: dict[Phrase, None] = {}
        position = 0
        for word in _TOKEN.findall(text):
            position += _STOP_WORDS if word in _STOPS else 1
            for found, step, first, last in self._places.get(word, ()):
                # The latest place of a step is the best: what follows is nearest to it.
                if first or position - reached[step - 1] <= found.gap + 1:
                    reached[step] = position
                    if last:
                        matched[found] = None
        return list(matched)


_NEVER = -1_000_000_000
"""A position that is out of reach of every gap."""
