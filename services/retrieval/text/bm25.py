"""BM25 as sparse vectors, so that a vector index can search by it.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009:

    score(q, d) = sum over terms of q:  idf(t) * f(t, d) (k1 + 1) / (f(t, d) + k1 (1 - b + b |d| / average length))
    idf(t)      = ln(1 + (N - n(t) + 0.5) / (n(t) + 0.5))

The fraction is the document's vector and the idf is in the question's, so that an item put or deleted changes the
weights of no other.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from services.retrieval.text.terms import term_id

DRIFT = 0.1
"""How far, in parts of it, the true average length may be from the one that weights were made with."""


class Sparse(NamedTuple):
    """A sparse vector: coordinates rising, each once, and their values."""

    indices: list[int]
    values: list[float]


class Bm25:
    """The statistics of N documents, kept as they come and go."""

    def __init__(self, k1: float = 1.2, b: float = 0.75, average_length: float | None = None) -> None:
        self._k1 = k1
        self._b = b
        self._documents: dict[int, Mapping[int, int]] = {}
        self._frequencies: Counter[int] = Counter()
        self._words = 0
        self.average_length = average_length
        """Terms of a document for which weights are made; None until `settle` was called."""

    def __len__(self) -> int:
        return len(self._documents)

    def put(self, number: int, terms: Iterable[str]) -> None:
        """Adds or replaces a document."""
        self.delete(number)
        counts = Counter(map(term_id, terms))
        self._documents[number] = counts
        self._frequencies.update(counts.keys())
        self._words += counts.total()

    def delete(self, number: int) -> None:
        """Removes a document; an unknown one is ignored."""
        counts = self._documents.pop(number, None)
        if counts is None:
            return
        self._words -= sum(counts.values())
        for term in counts:
            self._frequencies[term] -= 1
            if not self._frequencies[term]:
                del self._frequencies[term]

    def settle(self) -> bool:
        """Takes the present average length when the one in use has drifted from it; True: every vector changed."""
        average = self._words / max(1, len(self._documents))
        if self.average_length is not None and abs(average - self.average_length) <= DRIFT * self.average_length:
            return False
        self.average_length = average
        return True

    def document(self, number: int) -> Sparse:
        """The weights of a document's terms; empty for a document without any. KeyError for an unknown one."""
        counts = self._documents[number]
        length = sum(counts.values())
        crowded = self._k1 * (1 - self._b + self._b * length / (self.average_length or length or 1))
        terms = sorted(counts)
        return Sparse(terms, [counts[term] * (self._k1 + 1) / (counts[term] + crowded) for term in terms])

    def query(self, terms: Iterable[str]) -> Sparse:
        """How often each term is asked for, times its idf; terms of no document are left out."""
        counts = Counter(term for term in map(term_id, terms) if term in self._frequencies)
        asked = sorted(counts)
        return Sparse(asked, [counts[term] * self._idf(term) for term in asked])

    def _idf(self, term: int) -> float:
        having = self._frequencies[term]
        return math.log1p((len(self._documents) - having + 0.5) / (having + 0.5))
