"""The hybrid index: BM25 finds the words that were said, sentence vectors what was meant.

index = TextIndex(open_text_store(url, encoder.dimensions), encoder, vectors_file)
index.follow(documents_of(table))                       # seconds the first time, then only what changed
found = index.search("bank robbery", 50, Where(genres=("Comedy",), year_from=1990, year_to=1999))
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.retrieval.text.bm25 import Bm25
from services.retrieval.text.document import Document
from services.retrieval.text.fusion import reciprocal_rank
from services.retrieval.text.store import Entry, TextStore, Where
from services.retrieval.text.terms import asked_terms, terms_of
from services.retrieval.text.vectors import Encoder, RememberedVectors

_BATCH = 256
"""Documents encoded and written at a time: what is written can be found while the rest is being encoded."""
DEPTH = 100
"""How many each half proposes at least, so that an item both like can pass one that only one likes."""
EVERYTHING = Where()
WEIGHTS = (1.0, 0.5)
"""Of what was meant and what was said. Items without descriptions share few words with a sentence, and mostly by
accident: with equal weights the ten best of a described genre hold a sixth fewer of it, and titles are found as well.
"""


@dataclass(frozen=True, slots=True)
class Found:
    """K items, best first."""

    ids: NDArray[np.uint64]
    """(K,)"""
    scores: NDArray[np.float32]
    """(K,) weighted sums of reciprocal ranks, at most 1.5 / 61."""


class TextIndex:
    """Documents of one catalog. One thread writes at a time, any number search meanwhile."""

    def __init__(self, store: TextStore, encoder: Encoder, vectors_file: Path | None = None) -> None:
        self._store = store
        self._encoder = encoder
        self._vectors = RememberedVectors(encoder, vectors_file)
        self._bm25 = Bm25()
        self._documents: dict[int, Document] = {}
        self._unwritten: set[int] = set()
        """Documents that the store does not have yet, or not as they are: what a failed write leaves to the next."""
        self._undeleted: set[int] = set()
        self._writing = threading.Lock()
        self._closing = threading.Event()

    def __len__(self) -> int:
        return len(self._documents)

    def follow(self, documents: Sequence[Document]) -> int:
        """Makes this the catalog: writes what is new or changed, removes what is gone; how many documents that were.

        The first call also removes what an earlier process left in the store. After an error the next call, with
        whatever catalog there is then, does what this one could not.
        """
        with self._writing:
            present = {document.id for document in documents}
            if not self._documents:
                self._store.keep_only(present)
            gone = self._documents.keys() - present
            changed = [document for document in documents if self._documents.get(document.id) != document]
            self._note(changed, gone)
            self._flush()
            if gone or changed:
                self._vectors.keep([document.sentence for document in self._documents.values()])
            return len(gone) + len(changed)

    def mend(self) -> int:
        """Writes everything again into a store that has lost points; how many documents that were."""
        with self._writing:
            self._store.ensure()
            if self._store.count() >= len(self._documents) - len(self._unwritten):
                return 0
            self._unwritten = set(self._documents)
            self._flush()
            return len(self._documents)

    def put(self, documents: Sequence[Document]) -> None:
        """Adds or replaces documents."""
        with self._writing:
            self._note(documents, ())
            self._flush()

    def delete(self, ids: Collection[int]) -> None:
        """Removes documents; unknown ids are ignored."""
        with self._writing:
            self._note((), ids)
            self._flush()

    def search(self, text: str, n: int, where: Where = EVERYTHING) -> Found:
        """The n best of the items that `where` lets through; none for a text without a word."""
        terms = asked_terms(text)
        sentence = self._encoder.encode([text])[0] if terms else None
        nearest = self._store.search(sentence, self._bm25.query(terms), max(n, DEPTH), where)
        return Found(*reciprocal_rank(nearest, n, WEIGHTS))

    def close(self) -> None:
        """Lets go of the store; what is being written ends with its batch."""
        self._closing.set()
        with self._writing:
            self._store.close()

    def _note(self, documents: Sequence[Document], gone: Collection[int]) -> None:
        for number in gone:
            self._bm25.delete(number)
            self._documents.pop(number, None)
        for document in documents:
            self._bm25.put(document.id, terms_of(document.words))
            self._documents[document.id] = document
        self._undeleted = (self._undeleted | set(gone)) - self._documents.keys()
        self._unwritten = (self._unwritten | {document.id for document in documents}) & self._documents.keys()
        # Lengths weigh against the average: when it moved, so did every weight.
        if documents and self._bm25.settle():
            self._unwritten = set(self._documents)

    def _flush(self) -> None:
        if self._undeleted:
            self._store.delete(self._undeleted)
            self._undeleted = set()
        waiting = sorted(self._unwritten)
        for start in range(0, len(waiting), _BATCH):
            if self._closing.is_set():
                return
            batch = waiting[start : start + _BATCH]
            self._write([self._documents[number] for number in batch])
            self._unwritten.difference_update(batch)

    def _write(self, documents: Sequence[Document]) -> None:
        vectors = self._vectors.encode([document.sentence for document in documents])
        self._store.upsert(
            [
                Entry(document.id, vector, self._bm25.document(document.id), document.genres, document.year)
                for document, vector in zip(documents, vectors, strict=True)
            ]
        )
