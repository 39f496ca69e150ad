"""The list views of the history: what user_history and user_exclusions held after each user's newest events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.user import HISTORY_LENGTH
from services.ingest.activity import HIDDEN_LENGTH, HISTORY_TYPES, MAX_RATING, RATED_TYPES, SEEN_LENGTH

NEWEST_STATES = 8
"""States kept per user: after the newest event and after each of the seven before it."""

LISTS: dict[str, dict[str, type[pl.DataType]]] = {
    "user_history": {"history": pl.Int64, "history_times": pl.Int64, "history_values": pl.Float32},
    "user_exclusions": {"seen": pl.Int64, "hidden": pl.Int64},
}
"""View -> list column -> type of its elements."""


def list_views(events: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """user_history and user_exclusions from events in time order, sorted by event time."""
    columns: dict[str, list[NDArray[np.generic]]] = {name: [] for lists in LISTS.values() for name in lists}
    users: list[int] = []
    times: list[int] = []
    for user_id, own in _by_user(events):
        for end in range(max(1, len(own.items) - NEWEST_STATES + 1), len(own.items) + 1):
            users.append(user_id)
            times.append(int(own.times_us[end - 1]))
            for name, values in own.state(end).items():
                columns[name].append(values)
    moment = pl.Series(times, dtype=pl.Int64).cast(pl.Datetime("us", "UTC"))
    keys = {"user_id": pl.Series(users, dtype=pl.Int64)}
    stamps = {"event_timestamp": moment, "created_timestamp": moment}
    return {
        view: pl.DataFrame(
            keys | {name: pl.Series(columns[name], dtype=pl.List(kind)) for name, kind in lists.items()} | stamps
        ).sort("event_timestamp", maintain_order=True)
        for view, lists in LISTS.items()
    }


@dataclass(frozen=True)
class _UserEvents:
    """One user's N events in time order, as parallel arrays."""

    items: NDArray[np.int64]
    times_us: NDArray[np.int64]
    ratings: NDArray[np.float32]
    in_history: NDArray[np.bool_]
    is_hide: NDArray[np.bool_]

    def state(self, end: int) -> dict[str, NDArray[np.generic]]:
        """The list columns after the first `end` events."""
        hide = self.is_hide[:end]
        turned = _newest(self.items, self._by_millisecond(np.flatnonzero(self.in_history[:end])), HISTORY_LENGTH)
        return {
            "history": self.items[turned],
            "history_times": self.times_us[turned] // 1000,
            "history_values": self.ratings[turned],
            "seen": self.items[_newest(self.items, np.flatnonzero(~hide), SEEN_LENGTH)],
            "hidden": self.items[_newest(self.items, np.flatnonzero(hide), HIDDEN_LENGTH)],
        }

    def _by_millisecond(self, rows: NDArray[np.intp]) -> NDArray[np.intp]:
        """The rows in the fold's order: milliseconds, then items, then ratings, those without one first."""
        ratings = np.nan_to_num(self.ratings[rows], nan=-1.0)
        order: NDArray[np.intp] = rows[np.lexsort((ratings, self.items[rows], self.times_us[rows] // 1000))]
        return order


def _newest(items: NDArray[np.int64], rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Of `rows`, the newest one of each item, then the newest `most` of these, oldest first."""
    backwards = rows[::-1]
    _, first = np.unique(items[backwards], return_index=True)
    return backwards[np.sort(first)[:most]][::-1]


def _by_user(events: pl.DataFrame) -> Iterator[tuple[int, _UserEvents]]:
    rating = pl.col("value").cast(pl.Float32)
    is_rating = pl.col("type").is_in(RATED_TYPES) & rating.is_not_nan() & rating.is_between(0.0, MAX_RATING)
    marked = events.select(
        pl.col("user_id", "item_id").cast(pl.Int64),
        pl.col("ts").dt.timestamp("us"),
        pl.when(is_rating).then(rating).otherwise(float("nan")).cast(pl.Float32).alias("rating"),
        pl.col("type").is_in(HISTORY_TYPES).alias("in_history"),
        (pl.col("type") == "hide").alias("is_hide"),
    ).sort("user_id", "ts", maintain_order=True)
    users, *columns = (marked[name].to_numpy() for name in marked.columns)
    bounds = np.flatnonzero(np.diff(users, prepend=-1, append=-1) != 0).tolist()
    for start, end in pairwise(bounds):
        yield int(users[start]), _UserEvents(*(column[start:end] for column in columns))
