"""The item table a scorer would hold after a given log: what training uses where serving has WatchItems."""

from __future__ import annotations

import numpy as np
import polars as pl

from models.items import ITEM_COLUMNS, ItemRows, ItemTable
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


def item_table(items: pl.DataFrame, events: pl.DataFrame) -> ItemTable:
    """The table of `items` (the lake's) after `events` (the lake's, in any order).

    Equal to folding the events one by one with `services.ingest.activity`; an item without events has NaN counts, as
    features answers for a view that was never written.
    """
    table = items.join(_activity(events), on="item_id", how="left", maintain_order="left").with_columns(
        created_days=pl.col("created_at").dt.epoch("us") / DAY_US
    )
    columns = [table[name].cast(pl.Float32).fill_null(float("nan")).to_numpy() for name in ITEM_COLUMNS]
    return ItemTable(
        ItemRows(
            ids=table["item_id"].to_numpy(),
            item_ids=table["external_id"].to_list(),
            titles=table["title"].to_list(),
            genres=[tuple(genres) for genres in table["genres"]],
            creators=[tuple(creators) for creators in table["creators"]],
            features=np.stack(columns, axis=1),
        )
    )


def _activity(events: pl.DataFrame) -> pl.DataFrame:
    """One row of activity per item."""
    value = pl.when(pl.col("type").is_in(list(RATED_TYPES)) & pl.col("value").is_between(0.0, MAX_RATING)).then("value")
    us = pl.col("ts").dt.epoch("us")
    age = (us.max() - us).cast(pl.Float64) / (RECENT_HALF_LIFE_DAYS * DAY_US)
    likes = ((pl.col("type") == "like") | (value >= LIKE_VALUE).fill_null(False)).sum()
    judged = (pl.col("type").is_in(list(JUDGED_TYPES)) | value.is_not_null()).sum()
    return (
        events.filter(pl.col("type") != "hide")
        .group_by("item_id")
        .agg(
            event_count=pl.len(),
            recent_count=(-age * np.log(2.0)).exp().sum(),
            like_rate=(likes + PRIOR_WEIGHT * PRIOR_LIKE_RATE) / (judged + PRIOR_WEIGHT),
            mean_value=(value.sum() + PRIOR_WEIGHT * PRIOR_VALUE) / (value.count() + PRIOR_WEIGHT),
            last_seen_days=us.max() / DAY_US,
        )
    )
