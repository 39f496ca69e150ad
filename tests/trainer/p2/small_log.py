"""A log of a few hundred ratings with many ties, as columns and as a lake."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.rlfm import RlfmConfig
from services.trainer.p2.data import P2Data, p2_data
from services.trainer.p2.log import RatingLog

LATENT = RlfmConfig(width=2, sweeps=3)
USERS, ITEMS = 30, 40
SHIFT_US = 900_000_000_999_998
"""Not whole seconds: the spread ties cross a second of the shifted clock."""


def small_data(data_dir: Path) -> P2Data:
    """The data folder's features, by models as small as it is."""
    return p2_data(data_dir, LATENT)


def rating_log(events: int = 600, seed: int = 0) -> RatingLog:
    """Random ratings with many ties in time; users have a bias, items a merit."""
    random = np.random.default_rng(seed)
    users, items = random.integers(0, USERS, events), random.integers(0, ITEMS, events)
    taste = random.normal(0, 1, USERS)[users] + random.normal(0, 1, ITEMS)[items]
    return RatingLog(
        users=users,
        items=items,
        user_ids=np.arange(1, USERS + 1),
        item_ids=np.arange(1, ITEMS + 1),
        shift_us=0,
        seconds=np.sort(random.integers(0, events // 3, events)),
        ratings=np.clip(np.round(3.5 + taste), 1, 5).astype(np.float32),
        profiles={"gender": random.integers(0, 3, USERS), "age": random.integers(0, 4, USERS)},
        genres=random.random((ITEMS, 4)) < 0.4,
        years=random.integers(1950, 2000, ITEMS).astype(np.float32),
    )


def ties_of(log: RatingLog) -> NDArray[np.int64]:
    """(E,) how many events of the same second came before."""
    starts = np.searchsorted(log.seconds, log.seconds)
    return np.arange(len(log)) - starts


def lake_tables(log: RatingLog) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Users, items and events as an import leaves them: times shifted, ties spread over microseconds."""
    names = ["Action", "Comedy", "Drama", "Horror"][: log.genres.shape[1]]
    micros = log.seconds * 1_000_000 + SHIFT_US + ties_of(log)
    users = pl.DataFrame({"user_id": log.user_ids, "external_id": log.user_ids.astype(str)}).with_columns(
        gender=pl.Series(log.profiles["gender"]).cast(pl.String),
        age=pl.Series(log.profiles["age"]).cast(pl.String),
        occupation=pl.lit(None, pl.String),
        region=pl.lit(None, pl.String),
    )
    text = log.item_ids.astype(str)
    items = pl.DataFrame({"item_id": log.item_ids, "external_id": text, "title": text}).with_columns(
        year=pl.Series(log.years).fill_nan(None).cast(pl.Int32),
        genres=pl.Series([[name for name, has in zip(names, row, strict=True) if has] for row in log.genres]),
        creators=pl.lit([], pl.List(pl.String)),
        created_at=pl.lit(datetime(2000, 1, 1, tzinfo=UTC)).cast(pl.Datetime("us", "UTC")),
    )
    events = pl.DataFrame(
        {"user_id": log.user_ids[log.users], "item_id": log.item_ids[log.items], "ts": micros, "value": log.ratings}
    )
    events = events.select(
        pl.concat_str(pl.lit("ml-"), pl.int_range(pl.len())).alias("event_id"),
        pl.lit("watch").alias("type"),
        pl.col("user_id").cast(pl.UInt64),
        pl.col("item_id").cast(pl.UInt64),
        pl.from_epoch("ts", "us").dt.replace_time_zone("UTC").cast(pl.Datetime("us", "UTC")),
        "value",
        *(pl.lit(None, pl.String).alias(name) for name in ("session_id", "recommendation_id")),
        pl.lit(None, pl.Int32).alias("position"),
        pl.lit("movielens").alias("source"),
    )
    ids = [pl.col("user_id").cast(pl.UInt64)], [pl.col("item_id").cast(pl.UInt64)]
    return users.with_columns(ids[0]), items.with_columns(ids[1]), events


def write_lake(log: RatingLog, data_dir: Path) -> Path:
    """The log as data_dir/lake; returns data_dir."""
    (data_dir / "lake" / "events").mkdir(parents=True)
    for name, table in zip(("users", "items", "events/imported"), lake_tables(log), strict=True):
        table.write_parquet(data_dir / "lake" / f"{name}.parquet")
    return data_dir
