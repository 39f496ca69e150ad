"""P2's own sums against Feast's point-in-time join: two ways to the same past."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from services.features.definitions import apply_definitions
from services.ingest.activity import PRIOR_VALUE, PRIOR_WEIGHT
from services.trainer.history import build_history
from services.trainer.p2_features import Earlier, RatingLog
from services.trainer.point_in_time import point_in_time
from tests.trainer.test_p2 import lake_tables, rating_log


def test_sums_of_earlier_seconds_are_what_the_feature_store_joins(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "lake" / "events").mkdir(parents=True)
    users, items, events = lake_tables(rating_log(400))
    # Whole seconds, and ids that may be keys: 0 stands for "none".
    later = pl.col("ts") + pl.duration(microseconds=2)
    events = events.with_columns(later, pl.col("user_id") + 1, pl.col("item_id") + 1)
    users, items = users.with_columns(pl.col("user_id") + 1), items.with_columns(pl.col("item_id") + 1)
    for name, table in (("users", users), ("items", items), ("events/imported", events)):
        table.write_parquet(tmp_path / "lake" / f"{name}.parquet")
    build_history(tmp_path)
    log = RatingLog.of(users, items, events)
    moments = events.sort("ts", maintain_order=True).select(
        "user_id", "item_id", event_timestamp=pl.col("ts").dt.truncate("1s")
    )
    joined = point_in_time(apply_definitions(tmp_path, redis_url), moments, "ranker_training")
    values = np.stack([np.ones(len(log)), log.ratings], axis=1, dtype=np.float32)
    for entity, keys in (("user", log.users), ("item", log.items)):
        count, total = Earlier(keys, log.seconds).sums(values).T
        events_before = joined[f"{entity}_activity__event_count"].fill_null(0).to_numpy()
        np.testing.assert_array_equal(events_before, count, err_msg=entity)
        mean = joined[f"{entity}_activity__mean_value"].fill_null(PRIOR_VALUE).to_numpy()
        expected = (total + PRIOR_WEIGHT * PRIOR_VALUE) / (count + PRIOR_WEIGHT)
        np.testing.assert_allclose(mean, expected, rtol=1e-5)
