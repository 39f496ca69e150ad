from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from models.items import ITEM_COLUMNS
from services.ingest.activity import DAY_US, Event, ItemActivity, apply
from services.trainer.catalog import item_table

START = datetime(2026, 1, 1, tzinfo=UTC)


def lake(seed: int, count: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    random = np.random.default_rng(seed)
    items = pl.DataFrame(
        {
            "item_id": pl.Series([1, 2, 3, 4], dtype=pl.UInt64),
            "external_id": ["1", "2", "3", "4"],
            "title": ["A", "B", "C", "D"],
            "year": pl.Series([1990, 1991, None, 1993], dtype=pl.Int32),
            "genres": [["Drama"], ["Comedy", "Drama"], [], ["War"]],
            "creators": [["x"], [], [], []],
            "created_at": [START] * 4,
        }
    )
    types = random.choice(["click", "watch", "like", "dislike", "hide", "purchase"], count)
    value = [float(v) if v > 0 else None for v in random.integers(0, 8, count)]
    events = pl.DataFrame(
        {
            "type": types,
            "user_id": pl.Series(random.integers(1, 9, count), dtype=pl.UInt64),
            "item_id": pl.Series(random.integers(1, 4, count), dtype=pl.UInt64),
            "ts": [START + timedelta(seconds=int(s)) for s in random.integers(0, 86400 * 90, count)],
            "value": pl.Series(value, dtype=pl.Float32),
        }
    )
    return items, events


def test_the_table_is_what_folding_every_event_gives() -> None:
    for seed in range(5):
        items, events = lake(seed, 200)
        table = item_table(items, events)
        for item in (1, 2, 3):
            state = ItemActivity()
            for event in events.filter(pl.col("item_id") == item).iter_rows(named=True):
                us = int(event["ts"].timestamp() * 1e6)
                state = apply(state, Event(event["type"], event["user_id"], item, us, event["value"]))
            row = dict(zip(ITEM_COLUMNS, table.gather(np.array([item], np.uint64))[0].tolist(), strict=True))
            assert row["event_count"] == state.counts.event_count
            np.testing.assert_allclose(row["recent_count"], state.counts.recent_count, rtol=1e-5)
            np.testing.assert_allclose(row["like_rate"], state.counts.like_rate, rtol=1e-6)
            np.testing.assert_allclose(row["mean_value"], state.counts.mean_value, rtol=1e-6)
            np.testing.assert_allclose(row["last_seen_days"], state.counts.last_seen_us / DAY_US, rtol=1e-6)


def test_an_item_without_events_and_a_missing_year_are_nan() -> None:
    table = item_table(*lake(0, 50))
    untouched = table.gather(np.array([4], np.uint64))[0]
    assert np.isnan(untouched[ITEM_COLUMNS.index("event_count")])
    assert untouched[ITEM_COLUMNS.index("year")] == 1993
    assert np.isnan(table.gather(np.array([3], np.uint64))[0][0])
