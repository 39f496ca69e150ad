"""Shown items with what came of them, as columns."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

CLICKED, LIKED = 1.0, 2.0
"""Grades of `labels`: turned to (click, watch), and liked (like, purchase, follow, a rating of 4 or more)."""


@dataclass(frozen=True, eq=False)
class Examples:
    """M shown items in Q slates, slates in the order of their time and items in the order of their place."""

    columns: tuple[str, ...]
    """F names, those of one FeatureSpec."""
    features: NDArray[np.float32]
    """(M, F) as logged when the slate was served."""
    labels: NDArray[np.float32]
    """(M,) 0, CLICKED or LIKED."""
    user_ids: NDArray[np.uint64]
    """(M,)"""
    item_ids: NDArray[np.uint64]
    """(M,)"""
    times_us: NDArray[np.int64]
    """(M,) when the slate was served, microseconds since 1970."""
    positions: NDArray[np.int64]
    """(M,) from 1, the top."""
    propensities: NDArray[np.float32]
    """(M,) probability that this item came to its place, as logged."""
    slots: NDArray[np.str_]
    """(M,) ranked, fresh, explore, ..."""
    arms: NDArray[np.str_]
    """(M,) champion, challenger or none."""
    group_sizes: NDArray[np.int64]
    """(Q,) items of each slate; sums to M."""
    recommendation_ids: NDArray[np.str_]
    """(Q,)"""

    def __len__(self) -> int:
        return int(self.labels.size)

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 over all columns: the dataset's version."""
        digest = hashlib.sha256()
        for field in fields(self):
            value = getattr(self, field.name)
            digest.update(field.name.encode())
            if isinstance(value, np.ndarray) and value.dtype.kind != "U":
                digest.update(np.ascontiguousarray(value).tobytes())
            else:
                digest.update("\0".join(value).encode())
        return digest.hexdigest()

    def of_slates(self, kept: NDArray[np.bool_]) -> Examples:
        """The rows of the slates that a (Q,) mask keeps."""
        rows = np.repeat(kept, self.group_sizes)
        per_slate = {"group_sizes", "recommendation_ids"}
        columns = {
            field.name: getattr(self, field.name)[kept if field.name in per_slate else rows]
            for field in fields(self)
            if field.name != "columns"
        }
        return Examples(columns=self.columns, **columns)

    def split_newest(self, share: float) -> tuple[Examples, Examples]:
        """(older, newest) slates, the newest holding `share` of all; at least one of each where there are two."""
        slates = self.group_sizes.size
        newest = min(max(1, round(share * slates)), max(slates - 1, 0))
        recent = np.arange(slates) >= slates - newest
        return self.of_slates(~recent), self.of_slates(recent)
