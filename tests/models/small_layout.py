"""A layout of two numeric and three categorical columns, and rows of it, for tests of networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.normalizer import Normalizer


@dataclass(frozen=True, slots=True)
class SmallLayout:
    """A RowLayout."""

    numeric_columns: tuple[str, ...]
    cardinalities: Mapping[str, int]
    normalizer: Normalizer | None


def layout() -> SmallLayout:
    """Numbers of unit variance; the two genre columns share a vocabulary."""
    plain = Normalizer(np.zeros(2, np.float32), np.zeros(2, np.float32), np.ones(2, np.float32))
    return SmallLayout(("price", "age"), {"genre_1": 4, "genre_2": 4, "item": 9}, plain)


def rows(count: int, seed: int = 0, unknown: float = 0.0) -> NDArray[np.float32]:
    """(count, 5) random rows, a share of them NaN."""
    random = np.random.default_rng(seed)
    found = np.column_stack([
        random.normal(0, 1, (count, 2)), random.integers(0, 4, (count, 2)), random.integers(0, 9, count),
    ]).astype(np.float32)  # fmt: skip
    found[random.random(found.shape) < unknown] = np.nan
    return found
