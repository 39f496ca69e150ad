"""What the text index needs of an engine: points with a sentence's vector and a sparse vector of terms."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from services.retrieval.text.bm25 import Sparse

SENTENCE = "sentence"
"""Name of the dense vector."""
TERMS = "terms"
"""Name of the sparse vector."""
GENRES_FIELD = "genres"
YEAR_FIELD = "year"


class Entry(NamedTuple):
    """One point."""

    id: int
    sentence: NDArray[np.float32]
    """(D,)"""
    terms: Sparse
    genres: Sequence[str]
    year: int | None


@dataclass(frozen=True, slots=True)
class Where:
    """Which items may be found; everything when nothing is said."""

    genres: tuple[str, ...] = ()
    """All of these."""
    any_genres: tuple[str, ...] = ()
    """At least one of these."""
    not_genres: tuple[str, ...] = ()
    """None of these."""
    year_from: int | None = None
    """First year; an item without a year lies in no range."""
    year_to: int | None = None
    """Last year."""
    not_years: tuple[tuple[int, int], ...] = ()
    """In none of these ranges, both ends included; an item without a year is in none."""
    exclude: frozenset[int] = frozenset()
    """Ids that are not wanted."""


class Nearest(NamedTuple):
    """Ids by each of the two vectors, best first."""

    by_sentence: NDArray[np.uint64]
    by_terms: NDArray[np.uint64]
    """Only items that share a term with the question."""


class TextStore(Protocol):
    """Writes are visible to the next search. Every method raises Unavailable when the engine does not answer."""

    def ensure(self) -> None:
        """Makes room for the points where an engine that started anew has lost it; empty then."""

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Adds or replaces points."""

    def delete(self, ids: Collection[int]) -> None:
        """Removes points; ids that are not there are ignored."""

    def keep_only(self, ids: Collection[int]) -> None:
        """Removes every point but these."""

    def search(self, sentence: NDArray[np.float32] | None, terms: Sparse, n: int, where: Where) -> Nearest:
        """The n best by a (D,) vector, and the n best by terms; nothing by a vector that is None or empty."""

    def count(self) -> int:
        """Number of points."""

    def close(self) -> None:
        """Lets go of files and connections."""
