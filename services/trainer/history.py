"""The lake, replayed: what every feature view held after every event, as Parquet for Feast.

The scalar views have one row per entity and moment. The list views would repeat long lists for each of them, so they
keep the states after a user's newest events only; older moments of a history are slices of the lake itself. The
arithmetic is the fold of services.ingest.activity done on whole columns, and tests hold the two equal.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl

from services.ingest.activity import (
    DAY_US,
    JUDGED_TYPES,
    LIKE_VALUE,
    MAX_RATING,
    PRIOR_LIKE_RATE,
    PRIOR_VALUE,
    PRIOR_WEIGHT,
    RATED_TYPES,
    RECENT_HALF_LIFE_DAYS,
)
from services.trainer.data.lake import read_events
from services.trainer.history_lists import list_views

Progress = Callable[[str, float], None]
"""Called with the view being built and the share of the whole work done, 0..1."""

ALWAYS = pl.lit(0, pl.Int64).cast(pl.Datetime("us", "UTC"))
"""Event time of a profile: known from the beginning."""
VIEWS = 6


def build_history(data_dir: Path, progress: Progress = lambda view, share: None) -> dict[str, int]:
    """Writes offline/<view>.parquet for every view from the lake; returns the rows of each.

    Files are sorted by event time and replaced atomically. FileNotFoundError when there is no lake.
    """
    lake, offline = data_dir / "lake", data_dir / "offline"
    offline.mkdir(parents=True, exist_ok=True)
    written: dict[str, int] = {}

    def write(view: str, frame: pl.DataFrame) -> None:
        _write(frame, offline / f"{view}.parquet")
        written[view] = len(frame)
        progress(view, len(written) / VIEWS)

    write("user_profile", user_profiles(pl.read_parquet(lake / "users.parquet")))
    write("item_profile", item_profiles(pl.read_parquet(lake / "items.parquet")))
    events = read_events(lake)
    write("user_activity", activity(events, "user_id"))
    write("item_activity", activity(events, "item_id"))
    for view, frame in list_views(events).items():
        write(view, frame)
    return written


def user_profiles(users: pl.DataFrame) -> pl.DataFrame:
    """The view user_profile from lake/users.parquet."""
    names = ("external_id", "gender", "age", "occupation", "region")
    return users.select(
        pl.col("user_id").cast(pl.Int64), *(pl.col(name).cast(pl.String) for name in names), *_times(ALWAYS)
    )


def item_profiles(items: pl.DataFrame) -> pl.DataFrame:
    """The view item_profile from lake/items.parquet."""
    return items.select(
        pl.col("item_id").cast(pl.Int64),
        "external_id",
        "title",
        pl.col("year").cast(pl.Int32),
        "genres",
        "creators",
        (pl.col("created_at").dt.timestamp("us") / DAY_US).cast(pl.Float32).alias("created_days"),
        *_times(ALWAYS),
    )


def activity(events: pl.DataFrame, key: str) -> pl.DataFrame:
    """The view user_activity (key "user_id") or item_activity ("item_id"): the state after each event, in their order.

    Events of one key at one microsecond leave one row, the state after the last of them: a join could not tell which
    of several rows is the newest.
    """
    running = _marked(events, key).with_columns(
        _running("counts", key).alias("event_count"),
        _running("like", key).alias("like_count"),
        _running("judged", key).alias("judged_count"),
        _running("rated", key).alias("value_count"),
        pl.col("rating").fill_null(0.0).cum_sum().over(key).alias("value_sum"),
        pl.when("counts").then("us").otherwise(0).cum_max().over(key).alias("last_seen_us"),
        pl.col("us").min().over(key).alias("origin"),
    )
    states = running.select(
        key,
        "event_count",
        "like_count",
        "judged_count",
        "value_count",
        "value_sum",
        _recent_count(key).alias("recent_count"),
        _smoothed("like_count", "judged_count", PRIOR_LIKE_RATE).alias("like_rate"),
        _smoothed("value_sum", "value_count", PRIOR_VALUE).alias("mean_value"),
        "last_seen_us",
        pl.when(pl.col("event_count") > 0)
        .then(pl.col("last_seen_us") / DAY_US)
        .otherwise(float("nan"))
        .cast(pl.Float32)
        .alias("last_seen_days"),
        *_times(pl.col("us").cast(pl.Datetime("us", "UTC"))),
    )
    return states.unique([key, "event_timestamp"], keep="last", maintain_order=True)


def _marked(events: pl.DataFrame, key: str) -> pl.DataFrame:
    """What each event says, as the properties of activity.Event do."""
    value = pl.col("value").cast(pl.Float64)
    is_rating = pl.col("type").is_in(RATED_TYPES) & value.is_not_nan() & value.is_between(0.0, MAX_RATING)
    rating = pl.when(is_rating).then(value)
    return events.select(
        pl.col(key).cast(pl.Int64),
        pl.col("ts").dt.timestamp("us").alias("us"),
        (pl.col("type") != "hide").alias("counts"),
        ((pl.col("type") == "like") | (rating >= LIKE_VALUE).fill_null(False)).alias("like"),
        (pl.col("type").is_in(JUDGED_TYPES) | rating.is_not_null()).alias("judged"),
        rating.is_not_null().alias("rated"),
        rating.alias("rating"),
    )


def _running(flag: str, key: str) -> pl.Expr:
    return pl.col(flag).cast(pl.Int64).cum_sum().over(key)


def _recent_count(key: str) -> pl.Expr:
    """Sum of 2 ** -((last_seen - t) / half-life) over the events so far, from one running sum per entity."""
    half_life_us = RECENT_HALF_LIFE_DAYS * DAY_US
    weight = pl.col("counts").cast(pl.Float64) * pl.lit(2.0).pow((pl.col("us") - pl.col("origin")) / half_life_us)
    elapsed = (pl.col("last_seen_us") - pl.col("origin")).clip(0) / half_life_us
    return weight.cum_sum().over(key) / pl.lit(2.0).pow(elapsed)


def _smoothed(total: str, count: str, prior: float) -> pl.Expr:
    return ((pl.col(total) + PRIOR_WEIGHT * prior) / (pl.col(count) + PRIOR_WEIGHT)).cast(pl.Float32)


def _times(moment: pl.Expr) -> tuple[pl.Expr, pl.Expr]:
    return moment.alias("event_timestamp"), moment.alias("created_timestamp")


def _write(frame: pl.DataFrame, path: Path) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        frame.write_parquet(draft, compression="zstd", compression_level=1)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)
