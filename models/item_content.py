"""What an item is made of, as tokens: genres, creators, half-decade, words of the title."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\w+")
_YEARS = 5
"""Years that share a token."""


@dataclass(frozen=True, eq=False)
class ItemContent:
    """The tokens of I items, one after the other; item i owns tokens[offsets[i]:offsets[i + 1]]."""

    vocabulary: tuple[str, ...]
    """Token names: "genre:Drama", "year:1995", "word:story"."""
    tokens: NDArray[np.int64]
    """(T,) indices into the vocabulary."""
    offsets: NDArray[np.int64]
    """(I,)"""

    @classmethod
    def of(
        cls,
        titles: Sequence[str],
        years: Sequence[int | None],
        genres: Sequence[Sequence[str]],
        creators: Sequence[Sequence[str]],
        min_items: int = 3,
    ) -> Self:
        """Tokens that at least `min_items` items share; a rarer one would only be a second name of its item."""
        named = [token_names(*item) for item in zip(titles, years, genres, creators, strict=True)]
        counts = Counter(name for names in named for name in names)
        vocabulary = tuple(sorted(name for name, count in counts.items() if count >= min_items))
        place = {name: row for row, name in enumerate(vocabulary)}
        rows = [known_tokens(names, place) for names in named]
        lengths = np.array([len(row) for row in rows], np.int64)
        tokens = np.array([token for row in rows for token in row], np.int64)
        return cls(vocabulary, tokens, np.cumsum(lengths) - lengths)


def known_tokens(names: Sequence[str], place: Mapping[str, int]) -> list[int]:
    """Places of the names in a vocabulary; the unknown ones are left out."""
    return [place[name] for name in names if name in place]


def token_names(title: str, year: int | None, genres: Sequence[str], creators: Sequence[str]) -> list[str]:
    """The names of one item's tokens, each once."""
    words = sorted(set(_WORD.findall(title.casefold())))
    when = [] if year is None else [f"year:{year // _YEARS * _YEARS}"]
    return [f"genre:{g}" for g in genres] + [f"creator:{c}" for c in creators] + when + [f"word:{w}" for w in words]
