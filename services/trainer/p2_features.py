"""Features of every rating from strictly earlier ones: protocol P2 learns from what was known at each event's second.

Events of one second never see each other. Counts, rates and means of the user and the item are those the feature
store held when the second began. What no view holds (the user in a genre, the item among an age group, ...) is a sum
over the earlier events of some key, so the whole log is done in a handful of sorted cumulative sums.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.feature_blocks import GENRE_SLOTS
from models.normalizer import Normalizer
from services.ingest.activity import PRIOR_LIKE_RATE, PRIOR_VALUE

if TYPE_CHECKING:
    from feast import FeatureStore

Floats = NDArray[np.float32]
Keys = NDArray[np.int64]

SERVICE = "ranker_training"
"""The feature service that the activity is asked of."""
_PRIOR_WEIGHT = 5.0
"""Events that "no opinion" counts for in every smoothed mean."""
_WINDOW = 20
"""Newest events behind the `recent` features."""


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


@dataclass(frozen=True)
class RatingColumns:
    """The layout of P2's rows: numeric columns, then categorical ones."""

    numeric_columns: tuple[str, ...]
    cardinalities: Mapping[str, int]
    normalizer: Normalizer | None = None

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns, in order."""
        return (*self.numeric_columns, *self.cardinalities)


@dataclass(frozen=True)
class Activity:
    """What the feature store held of each event's user, or of its item, when the event's second began; all (E,)."""

    count: Floats
    like_rate: Floats
    mean: Floats

    @classmethod
    def of(cls, joined: pl.DataFrame, view: str) -> Activity:
        """From a join's columns; an entity without a row yet has the priors."""
        unknown = {"event_count": 0, "like_rate": PRIOR_LIKE_RATE, "mean_value": PRIOR_VALUE}
        return cls(
            *(joined[f"{view}__{name}"].cast(pl.Float32).fill_null(prior).to_numpy() for name, prior in unknown.items())
        )


class Known(NamedTuple):
    """The activity of both sides of every event."""

    user: Activity
    item: Activity


def known_activity(store: FeatureStore, log: RatingLog) -> Known:
    """Feast's point-in-time join at the beginning of every event's second."""
    from services.trainer.point_in_time import MOMENT, point_in_time  # imports Feast, which takes seconds

    begins = pl.Series(MOMENT, log.seconds * 1_000_000 + log.shift_us).cast(pl.Datetime("us", "UTC"))
    entities = pl.DataFrame([
        pl.Series("user_id", log.user_ids[log.users]), pl.Series("item_id", log.item_ids[log.items]), begins,
    ])  # fmt: skip
    joined = point_in_time(store, entities, SERVICE)
    return Known(Activity.of(joined, "user_activity"), Activity.of(joined, "item_activity"))


def rating_features(log: RatingLog, known: Known) -> tuple[Floats, RatingColumns]:
    """(E, F) features and their columns."""
    numeric = {**_activity(known), **_means(log, known)}
    indices = _categorical(log)
    cardinalities = {name: int(column.max(initial=0)) + 1 for name, column in indices.items()}
    cardinalities["item"] = log.years.size + 1
    columns = [*numeric.values(), *indices.values()]
    return np.stack(columns, axis=1, dtype=np.float32, casting="unsafe"), RatingColumns(tuple(numeric), cardinalities)


def _activity(known: Known) -> dict[str, NDArray[np.floating]]:
    columns: dict[str, NDArray[np.floating]] = {}
    for name, side in known._asdict().items():
        columns[f"{name}_log_count"] = np.log1p(side.count)
        columns[f"{name}_like_rate"] = side.like_rate
        columns[f"{name}_mean"] = side.mean
    return columns


def _means(log: RatingLog, known: Known) -> dict[str, NDArray[np.floating]]:
    ones = np.ones(len(log), np.float32)
    base = np.stack([ones, log.ratings, log.ratings**2], axis=1)
    by_user, by_item = Earlier(log.users, log.seconds), Earlier(log.items, log.seconds)
    columns: dict[str, NDArray[np.floating]] = {
        "user_spread": _spread(by_user.sums(base)),
        "item_spread": _spread(by_item.sums(base)),
        "year": log.years[log.items],
        "user_log_idle": np.log1p(by_user.since_last()),
        "item_log_idle": np.log1p(by_item.since_last()),
    }
    # What a rating says beyond its item's mean is the user's taste; beyond the user's mean, the item's merit.
    taste = np.stack([ones, log.ratings - known.item.mean], axis=1)
    merit = np.stack([ones, log.ratings - known.user.mean], axis=1)
    columns["user_bias"] = _surplus(by_user.sums(taste))
    columns["user_bias_recent"] = _surplus(by_user.sums(taste, _WINDOW))
    recent = by_user.sums(base[:, :2], _WINDOW)
    columns["user_mean_recent"] = _smoothed(recent[:, 1], recent[:, 0], PRIOR_VALUE)
    columns["item_merit"] = _surplus(by_item.sums(merit))
    columns["item_merit_recent"] = _surplus(by_item.sums(merit, 5 * _WINDOW))
    columns["expected"] = known.item.mean + columns["user_bias"]
    decade = np.nan_to_num(log.years[log.items] // 10, nan=0).astype(np.int64)
    columns["user_decade_bias"] = _surplus(Earlier(log.users * 1000 + decade, log.seconds).sums(taste))
    for name, of_user in log.profiles.items():
        group = log.items * (int(of_user.max()) + 1) + of_user[log.users]
        columns[f"item_{name}_merit"] = _surplus(Earlier(group, log.seconds).sums(merit))
    return {**columns, **_genre_means(log, taste)}


def _genre_means(log: RatingLog, taste: Floats) -> dict[str, NDArray[np.floating]]:
    """The user's taste in each of the item's genres: mean, best, worst, and how often they met them."""
    event, genre = np.nonzero(log.genres[log.items])
    key = log.users[event] * log.genres.shape[1] + genre
    sums = Earlier(key, log.seconds[event]).sums(taste[event])
    bias, count = _surplus(sums), np.maximum(np.bincount(event, minlength=len(log)), 1)
    best, worst = np.full(len(log), -np.inf, np.float32), np.full(len(log), np.inf, np.float32)
    np.maximum.at(best, event, bias)
    np.minimum.at(worst, event, bias)
    return {
        "genre_bias": np.bincount(event, bias, minlength=len(log)) / count,
        "genre_bias_best": np.where(np.isfinite(best), best, np.nan),
        "genre_bias_worst": np.where(np.isfinite(worst), worst, np.nan),
        "genre_log_count": np.log1p(np.bincount(event, sums[:, 0], minlength=len(log)) / count),
    }


def _categorical(log: RatingLog) -> dict[str, Keys]:
    marked = np.sort(log.genres * np.arange(log.genres.shape[1]) + log.genres, axis=1)[:, ::-1][:, :GENRE_SLOTS]
    slots = {f"genre_{slot + 1}": marked[log.items, slot] for slot in range(marked.shape[1])}
    return {
        "item": log.items + 1,
        **slots,
        **{name: of_user[log.users] for name, of_user in log.profiles.items()},
    }


class Earlier:
    """Sums over the events of the same key in strictly earlier seconds. Keys and seconds are (E,)."""

    def __init__(self, keys: Keys, seconds: Keys) -> None:
        self._order = np.lexsort((seconds, keys))
        self._seconds = seconds[self._order]
        sorted_keys = keys[self._order]
        new_key = np.ones(keys.size, bool)
        new_key[1:] = sorted_keys[1:] != sorted_keys[:-1]
        new_second = new_key.copy()
        new_second[1:] |= self._seconds[1:] != self._seconds[:-1]
        places = np.arange(keys.size)
        self._from = np.maximum.accumulate(np.where(new_key, places, 0))
        """(E,) in sorted order: first event of the key, which is where its past begins."""
        self._to = np.maximum.accumulate(np.where(new_second, places, 0))
        """(E,) first event of the second, which is where its past ends."""

    def sums(self, values: Floats, newest: int | None = None) -> Floats:
        """(E, K) sums of (E, K) values, over the `newest` earlier events only when given."""
        totals = np.zeros((values.shape[0] + 1, values.shape[1]))
        np.cumsum(values[self._order], axis=0, out=totals[1:], dtype=np.float64)
        start = self._from if newest is None else np.maximum(self._from, self._to - newest)
        return self._unsorted(totals[self._to] - totals[start])

    def since_last(self) -> Floats:
        """(E,) seconds since the key's last earlier event, NaN for its first."""
        last = self._seconds[np.maximum(self._to - 1, 0)]
        return self._unsorted(np.where(self._to > self._from, self._seconds - last, np.nan))

    def _unsorted(self, values: NDArray[np.float64]) -> Floats:
        out = np.empty(values.shape, np.float32)
        out[self._order] = values
        return out


def _smoothed(total: Floats, count: Floats, prior: float) -> Floats:
    return (total + np.float32(_PRIOR_WEIGHT * prior)) / (count + np.float32(_PRIOR_WEIGHT))


def _surplus(sums: Floats) -> Floats:
    """Smoothed mean of columns (count, total), drawn to zero."""
    return _smoothed(sums[:, 1], sums[:, 0], 0.0)


def _spread(sums: Floats) -> Floats:
    """Standard deviation of columns (count, total, squares); NaN below two events."""
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = sums[:, 2] / sums[:, 0] - (sums[:, 1] / sums[:, 0]) ** 2
    return np.where(sums[:, 0] >= 2, np.sqrt(np.maximum(variance, 0)), np.float32(np.nan))


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
