"""Indexes that requests search: one that no longer serves is closed when the last of them has ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from services.retrieval.index import VectorIndex


class Leases:
    """Counts on the event loop; closing, which takes time, is left to whoever calls `take_free`."""

    def __init__(self) -> None:
        self._held: Counter[VectorIndex] = Counter()
        self._retired: set[VectorIndex] = set()

    @contextmanager
    def on(self, index: VectorIndex) -> Iterator[None]:
        """The index stays open while the block runs."""
        self._held[index] += 1
        try:
            yield
        finally:
            self._held[index] -= 1
            if not self._held[index]:
                del self._held[index]

    def retire(self, index: VectorIndex) -> None:
        """No request that begins from now on gets this index."""
        self._retired.add(index)

    def take_free(self) -> list[VectorIndex]:
        """Retired indexes that nobody searches any more: the caller's to close."""
        free = [index for index in self._retired if index not in self._held]
        self._retired.difference_update(free)
        return free
