"""What retrieval needs of a vector index, whichever engine keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

CATEGORY_FIELD = "genres"
"""Payload field, indexed as keywords, that the category filter looks at."""


class Hits(NamedTuple):
    """K points, best first."""

    ids: NDArray[np.uint64]
    """(K,)"""
    scores: NDArray[np.float32]
    """(K,) dot products."""


class VectorIndex(Protocol):
    """Points by id: a vector each, and the categories it belongs to. Scores are dot products.

    Writes are visible to the next search. Every method raises Unavailable when the engine does not answer.
    """

    @property
    def remote(self) -> bool:
        """True when a search waits for another process, so that something else can run meanwhile."""

    def upsert(
        self, ids: NDArray[np.uint64], vectors: NDArray[np.float32], categories: Sequence[Sequence[str]]
    ) -> None:
        """Adds or replaces N points: (N,) ids, (N, D) vectors, N lists of categories."""

    def delete(self, ids: NDArray[np.uint64]) -> None:
        """Removes points; ids that are not there are ignored."""

    def search(
        self,
        vector: NDArray[np.float32],
        n: int,
        *,
        ef: int | None = None,
        categories: Sequence[str] = (),
        exclude: NDArray[np.uint64] | None = None,
    ) -> Hits:
        """The n points nearest to a (D,) vector: of any of `categories` if given, none of `exclude`.

        `ef` is the breadth of the HNSW search; by default `breadth(n)`.
        """

    def search_each(
        self,
        vectors: NDArray[np.float32],
        n: int,
        *,
        categories: Sequence[str] = (),
        exclude: NDArray[np.uint64] | None = None,
    ) -> list[Hits]:
        """What `search` finds near each of (Q, D) vectors, asked for at once."""

    def count(self) -> int:
        """Number of points."""

    def close(self) -> None:
        """Lets go of files and connections."""


def breadth(n: int) -> int:
    """The ef that keeps recall above .97 at k = n up to a million 64-d points."""
    return max(128, 2 * n)
