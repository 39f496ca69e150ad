"""Statistics that bring numeric features onto one scale for models that need it; trees do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_HEAVY_TAIL = 8.0
"""A non-negative column whose 99th percentile exceeds its positive median by this factor is taken as logarithmic."""


@dataclass(frozen=True, slots=True)
class Normalizer:
    """x -> (log1p(x / scale) - mean) / std where scale > 0, else (x - mean) / std; NaN stays NaN."""

    scale: NDArray[np.float32]
    """(C,) the positive median of heavy-tailed columns, 0 for the others."""
    mean: NDArray[np.float32]
    """(C,)"""
    std: NDArray[np.float32]
    """(C,) never 0."""

    @classmethod
    def fit(cls, rows: NDArray[np.float32]) -> Self:
        """Statistics of (M, C) rows; a column without a single known value gets mean 0 and std 1."""
        scale = np.array([_log_scale(column) for column in rows.T], np.float32)
        moments = [_moments(_shaped(column, unit)) for column, unit in zip(rows.T, scale, strict=True)]
        mean, std = np.array(moments, np.float32).reshape(-1, 2).T
        return cls(scale, mean, std)

    def apply(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(M, C) normalised rows."""
        shaped = np.stack([_shaped(c, unit) for c, unit in zip(rows.T, self.scale, strict=True)], axis=1)
        return ((shaped - self.mean) / self.std).astype(np.float32)

    def to_json(self) -> dict[str, list[float]]:
        """The three columns as lists."""
        return {"scale": self.scale.tolist(), "mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The reverse of to_json."""
        return cls(*(np.array(data[name], np.float32) for name in ("scale", "mean", "std")))


def _log_scale(column: NDArray[np.float32]) -> float:
    known = column[np.isfinite(column)]
    positive = known[known > 0]
    if not positive.size or float(known.min()) < 0:
        return 0.0
    middle = float(np.median(positive))
    return middle if float(np.percentile(positive, 99)) > _HEAVY_TAIL * middle else 0.0


def _shaped(column: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    # Serving may meet values below the training minimum; log1p must not be asked for the impossible.
    return np.log1p(np.maximum(column, 0) / scale) if scale > 0 else column


def _moments(column: NDArray[np.float32]) -> tuple[float, float]:
    known = column[np.isfinite(column)].astype(np.float64)
    if not known.size:
        return 0.0, 1.0
    std = float(known.std())
    return float(known.mean()), std if std > 1e-6 else 1.0
