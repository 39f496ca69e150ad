"""What a value says: inside the house it is a rating of 1 to 5, of which 4 is a like."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.ingest.activity import LIKE_VALUE, MAX_RATING
from services.runtime.errors import SettingsError
from services.trainer.data.tabular.roles import NONE

LEAST_RATING = 1.0
"""What the bottom of any scale becomes."""
_LIKED_SHARE = (LIKE_VALUE - LEAST_RATING) / (MAX_RATING - LEAST_RATING)
_SCALE = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*\.\.\s*(-?\d+(?:\.\d+)?)\s*")


@dataclass(frozen=True, slots=True)
class Scale:
    """How values become ratings; each way keeps their order, and `liked` is what becomes a 4.

    bounds and liked: two straight lines, low -> 1, liked -> 4, high -> 5. Without `liked` it lies where one line would.
    liked alone: an amount without an end (plays, minutes): 0 -> 1, liked -> 4, ever more -> 5.
    neither: the values are ratings already, which `require_stars` checks once all of them were seen.
    """

    bounds: tuple[float, float] | None = None
    liked: float | None = None

    @classmethod
    def of(cls, scale: str, liked: float | None) -> Scale:
        """From what a person writes: "1..10" or "", and the value from which on something is liked."""
        if not scale:
            if liked is not None and not 0 < liked < float("inf"):
                raise SettingsError(f"--liked {liked:g}: an amount is liked from something above 0.", field="liked")
            return cls(None, liked)
        match = _SCALE.fullmatch(scale)
        if match is None or float(match[1]) >= float(match[2]):
            raise SettingsError(f"--scale {scale!r} is no scale; write lowest..highest, like 1..10.", field="scale")
        low, high = float(match[1]), float(match[2])
        if liked is not None and not low < liked <= high:
            raise SettingsError(f"--liked {liked:g} must lie on the scale, above {low:g}.", field="liked")
        return cls((low, high), liked)

    def ratings(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) ratings of (N,) values. NaN stays NaN, and becomes of what lies outside the scale."""
        if self.bounds is None and self.liked is None:
            return values
        if self.bounds is None:
            return _amounts(values, float(self.liked or 0.0))
        low, high = self.bounds
        liked = low + _LIKED_SHARE * (high - low) if self.liked is None else self.liked
        rated = np.interp(values, (low, liked, high), (LEAST_RATING, LIKE_VALUE, MAX_RATING))
        # Where only the best is liked, the two upper knots are one, and the best is the best.
        rated = np.where(values >= high, MAX_RATING, rated)
        return np.where((values >= low) & (values <= high), rated, np.nan)

    def require_stars(self, column: str, low: float, high: float) -> None:
        """SettingsError when nobody said what the values mean and they cannot be ratings of up to 5 either."""
        if self.bounds is not None or self.liked is not None or (low >= 0 and 1 < high <= MAX_RATING):
            return
        raise SettingsError(
            f"Column {column!r} holds values from {low:g} to {high:g}, which are not stars from 1 to {MAX_RATING:g}. "
            f"Say what they mean: --scale {low:g}..{high:g} for ratings; --liked, and from how much on something is "
            f"liked, for counts; or --value {NONE} to leave them out.",
            field="value",
        )

    def __str__(self) -> str:
        if self.bounds is None:
            return "stars, liked from 4" if self.liked is None else f"an amount, liked from {self.liked:g}"
        low, high = self.bounds
        liked = low + _LIKED_SHARE * (high - low) if self.liked is None else self.liked
        return f"{low:g} to {high:g}, liked from {liked:g}"


def _amounts(values: NDArray[np.float64], liked: float) -> NDArray[np.float64]:
    """0 -> 1, liked -> 4, towards 5 with every multiple of it."""
    much = MAX_RATING - (MAX_RATING - LIKE_VALUE) * liked / np.maximum(values, liked)
    little = LEAST_RATING + (LIKE_VALUE - LEAST_RATING) * np.maximum(values, 0.0) / liked
    return np.where(values >= liked, much, little)
