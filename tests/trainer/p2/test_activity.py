"""P2's activity columns are what the feature store held, and that is what a loop over the log finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from services.ingest.activity import PRIOR_LIKE_RATE, PRIOR_VALUE, PRIOR_WEIGHT
from tests.trainer.p2.small_log import rating_log, small_data, write_lake


def test_activity_is_that_of_strictly_earlier_seconds(tmp_path: Path) -> None:
    data = small_data(write_lake(rating_log(200), tmp_path))
    log, column = data.log, dict(zip(data.columns.columns, data.features.T, strict=True))
    assert np.unique(log.seconds).size < len(log)
    for entity, keys in (("user", log.users), ("item", log.items)):
        for event in range(len(log)):
            past = (keys == keys[event]) & (log.seconds < log.seconds[event])
            ratings, weight = log.ratings[past], past.sum() + PRIOR_WEIGHT
            expected = {
                "log_count": np.log1p(past.sum()),
                "like_rate": ((ratings >= 4).sum() + PRIOR_WEIGHT * PRIOR_LIKE_RATE) / weight,
                "mean": (ratings.sum() + PRIOR_WEIGHT * PRIOR_VALUE) / weight,
            }
            for name, value in expected.items():
                assert column[f"{entity}_{name}"][event] == pytest.approx(value, rel=1e-5), (entity, name, event)


def test_activity_comes_from_the_offline_views(tmp_path: Path) -> None:
    before = small_data(write_lake(rating_log(100), tmp_path))
    view = tmp_path / "offline" / "user_activity.parquet"
    pl.read_parquet(view).with_columns(pl.lit(2.25, pl.Float32).alias("mean_value")).write_parquet(view)
    after = small_data(tmp_path)
    place = before.columns.columns.index("user_mean")
    known = np.expm1(before.features[:, before.columns.columns.index("user_log_count")]) > 0.5
    assert known.any()
    np.testing.assert_array_equal(after.features[:, place], np.where(known, np.float32(2.25), PRIOR_VALUE))
