"""Answers to one kind of question, found by the vectors of what was asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from services.llm.caches.facts import Facts
from services.llm.calls import Completion

Vector = NDArray[np.float32]
_FIRST_ROWS = 8


@dataclass(eq=False, slots=True)
class Entry:
    """A kept answer."""

    tenant: str
    scope: bytes
    """What has to be the same besides the sentence."""
    facts: Facts
    completion: Completion
    expires: float
    row: int = -1
    """Its place on the shelf, while it is on one."""


@dataclass(slots=True)
class Shelf:
    """Entries of one scope, and a row of `vectors` for each. Vectors have length one."""

    dimensions: int
    entries: list[Entry] = field(default_factory=list)
    vectors: NDArray[np.float32] = field(init=False)
    """(rows, dimensions); those beyond the entries mean nothing."""

    def __post_init__(self) -> None:
        self.vectors = np.empty((_FIRST_ROWS, self.dimensions), np.float32)

    def near(self, vector: Vector, threshold: float) -> Iterator[tuple[Entry, float]]:
        """Entries of at least that similarity, the nearest first."""
        similarities = self.vectors[: len(self.entries)] @ vector
        (rows,) = np.nonzero(similarities >= threshold)
        for row in rows[np.argsort(-similarities[rows], kind="stable")].tolist():
            yield self.entries[row], float(similarities[row])

    def add(self, entry: Entry, vector: Vector) -> None:
        """Puts it behind the others."""
        entry.row = len(self.entries)
        if entry.row == len(self.vectors):
            self.vectors = np.concatenate([self.vectors, np.empty_like(self.vectors)])
        self.vectors[entry.row] = vector
        self.entries.append(entry)

    def remove(self, entry: Entry) -> None:
        """The last entry takes its place."""
        last = self.entries.pop()
        if last is not entry:
            self.entries[entry.row] = last
            self.vectors[entry.row] = self.vectors[last.row]
            last.row = entry.row
