"""What the two-stage peer knows of items by themselves, and of how a user behaves right now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from services.trainer.data.interactions import Interactions

FACTS = (
    "log_count", "log_recent", "mean_value", "year", "count_gap", "place_gap", "year_gap", "year_distance",
    "genres_0", "genres_newest_5", "log_history", "log_idle_s", "log_pace_s", "same_second", "user_mean_value",
)  # fmt: skip
"""Candidate alone, candidate against history (gap: candidate minus what the user is at), the user's moment.

place_gap: how late in histories the item comes by custom, against how long this history is. log_pace_s: the median
wait within the newest ten events. same_second: events of the newest one's second.
"""
RECENT_DAYS = 30.0
"""Half-life of log_recent."""
Columns = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """Facts of I items, and the times and values of U histories."""

    log_count: Columns
    log_recent: Columns
    mean_value: Columns
    year: Columns
    log_place: Columns
    """(I,) mean of log(1 + events before) over the item's events."""
    genres: Columns
    """(I, G) of length 1."""
    offsets: NDArray[np.int64]
    times_ms: NDArray[np.int64]
    values: Columns
    at_ms: NDArray[np.int64]
    """(U,) when each user is asked about."""

    @classmethod
    def fit(cls, history: Interactions, places: NDArray[np.int64], at_ms: NDArray[np.int64]) -> Self:
        """From the events, whose items are `places` of the catalog, and from the catalog itself."""
        items = history.items.height
        count = np.bincount(places, minlength=items)
        before = np.arange(places.size) - np.repeat(history.offsets[:-1], np.diff(history.offsets))
        age_days = (history.times_ms.max(initial=0) - history.times_ms) / 86_400_000.0
        rated = ~np.isnan(history.values)
        year = history.items["year"].to_numpy() if "year" in history.items.columns else np.full(items, np.nan)

        def mean(values: NDArray[np.floating], of: NDArray[np.bool_]) -> Columns:
            total, events = np.bincount(places[of], values[of], items), np.bincount(places[of], minlength=items)
            return np.where(events, total / np.maximum(events, 1), np.nan).astype(np.float32)

        return cls(
            np.log1p(count).astype(np.float32),
            np.log1p(np.bincount(places, np.exp2(-age_days / RECENT_DAYS), items)).astype(np.float32),
            mean(history.values, rated),
            year.astype(np.float32),
            mean(np.log1p(before), np.ones(places.size, np.bool_)),
            unit_genres(history),
            history.offsets,
            history.times_ms,
            history.values,
            at_ms,
        )

    def of(self, user: int, newest: NDArray[np.int64], k: NDArray[np.int64]) -> Columns:
        """(K, len(FACTS)) of K candidates of a user whose items are `newest`, newest first."""
        rows = np.empty((k.size, len(FACTS)), np.float32)
        rows[:, :4] = np.stack([self.log_count[k], self.log_recent[k], self.mean_value[k], self.year[k]], axis=1)
        rows[:, 4:10] = np.nan
        if newest.size:
            year = self.year[newest]
            rows[:, 4] = self.log_count[k] - self.log_count[newest[:10]].mean()
            rows[:, 5] = self.log_place[k] - np.log1p(newest.size)
            rows[:, 6] = self.year[k] - year[0]
            if not np.isnan(year[:20]).all():
                rows[:, 7] = np.abs(self.year[k] - np.nanmean(year[:20]))
            rows[:, 8] = self.genres[k] @ self.genres[newest[0]]
            rows[:, 9] = self.genres[k] @ self.genres[newest[:5]].mean(axis=0)
        rows[:, 10:] = self._moment(user)
        return rows

    def _moment(self, user: int) -> Columns:
        own = slice(int(self.offsets[user]), int(self.offsets[user + 1]))
        times, values = self.times_ms[own] / 1000.0, self.values[own]
        row = np.full(5, np.nan, np.float32)
        row[0] = np.log1p(times.size)
        if times.size:
            row[1] = np.log1p(max(self.at_ms[user] / 1000.0 - times[-1], 0.0))
            row[3] = np.count_nonzero(np.floor(times) == np.floor(times[-1]))
        if times.size > 1:
            row[2] = np.log1p(np.median(np.diff(times[-10:])))
        if not np.isnan(values).all():
            row[4] = np.nanmean(values)
        return row


def unit_genres(history: Interactions) -> Columns:
    """(I, G) the genres of each item of the catalog, of length 1; no columns where the catalog has none."""
    if "genres" not in history.items.columns:
        return np.zeros((history.items.height, 0), np.float32)
    lists = [tuple(genres or ()) for genres in history.items["genres"].to_list()]
    names = {name: place for place, name in enumerate(sorted({name for genres in lists for name in genres}))}
    hot = np.zeros((len(lists), len(names)), np.float32)
    for row, genres in enumerate(lists):
        hot[row, [names[name] for name in genres]] = 1.0
    return np.asarray(hot / np.maximum(np.linalg.norm(hot, axis=1, keepdims=True), 1.0), np.float32)
