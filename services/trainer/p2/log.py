"""The ratings of the lake as columns, on the clock they were made on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Keys = NDArray[np.int64]


@dataclass(frozen=True)
class RatingLog:
    """E ratings, oldest first."""

    users: Keys
    """(E,) row of each event's user, 0..U-1."""
    items: Keys
    """(E,) row of each event's item."""
    user_ids: Keys
    """(U,) as the feature store knows them."""
    item_ids: Keys
    """(I,)"""
    seconds: Keys
    """(E,) whole seconds."""
    shift_us: int
    """Where whole seconds begin on the lake's clock, microseconds after its own."""
    ratings: Floats
    """(E,) 1..5."""
    profiles: Mapping[str, Keys]
    """(U,) index of each user's value by attribute; 0 for the unknown."""
    genres: NDArray[np.bool_]
    """(I, G)"""
    years: Floats
    """(I,) NaN where unknown."""

    @classmethod
    def of(cls, users: pl.DataFrame, items: pl.DataFrame, events: pl.DataFrame) -> RatingLog:
        """The imported ratings of the lake's three tables; live events and those without a value are left out."""
        imported = pl.col("value").is_not_null() & (pl.col("source") != "live")
        log = events.filter(imported).sort("ts", maintain_order=True)
        names = sorted({name for names in items["genres"] for name in names})
        profiles = {name: _indices(users[name]) for name in ("gender", "age", "occupation")}
        seconds, shift_us = _whole_seconds(log["ts"].dt.epoch("us").to_numpy())
        return cls(
            users=_rows(users["user_id"], log["user_id"]),
            items=_rows(items["item_id"], log["item_id"]),
            user_ids=users["user_id"].cast(pl.Int64).to_numpy(),
            item_ids=items["item_id"].cast(pl.Int64).to_numpy(),
            seconds=seconds,
            shift_us=shift_us,
            ratings=log["value"].to_numpy().astype(np.float32),
            profiles=profiles,
            genres=np.array([[name in names_of for name in names] for names_of in items["genres"]], bool),
            years=items["year"].cast(pl.Float32).fill_null(float("nan")).to_numpy(),
        )

    def __len__(self) -> int:
        return self.users.size

    @property
    def decades(self) -> Keys:
        """(I,) 199 for the nineties, 0 for the unknown."""
        return np.nan_to_num(self.years // 10, nan=0).astype(np.int64)

    def second_start(self, share: float) -> int:
        """The place that this share of the events lies before, moved to the first event of its second."""
        place = min(round(share * len(self)), len(self) - 1)
        return int(np.searchsorted(self.seconds, self.seconds[place]))


def _rows(ids: pl.Series, wanted: pl.Series) -> Keys:
    order = np.argsort(ids.to_numpy())
    return order[np.searchsorted(ids.to_numpy()[order], wanted.to_numpy())]


def _whole_seconds(micros: Keys) -> tuple[Keys, int]:
    """(E,) seconds of the clock the ratings were made on, and the microsecond at which they begin.

    The import shifted all times by one constant and spread a user's ties over microseconds. Most ratings have no tie
    before them, so the commonest fraction of a second is the shift's own: where whole seconds begin.
    """
    fractions, counts = np.unique(micros % 1_000_000, return_counts=True)
    shift_us = int(fractions[counts.argmax()])
    seconds: Keys = (micros - shift_us) // 1_000_000
    return seconds, shift_us


def _indices(values: pl.Series) -> Keys:
    """1 and up by sorted value, 0 for null."""
    return values.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
