"""Feast's own DuckDB join is the oracle of the ASOF join."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.infra.offline_stores.duckdb import DuckDBOfflineStoreConfig
from feast.types import Float64, Int64

from services.features.asof_store import AsofDuckDBOfflineStoreConfig

START = datetime(2026, 1, 1, tzinfo=UTC)


def _store(folder: Path, offline: object, ttl: timedelta) -> FeatureStore:
    user = Entity(name="user", join_keys=["user_id"], value_type=ValueType.INT64)
    source = FileSource(
        name="taste",
        path=str(folder / "taste.parquet"),
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )
    schema = [Field(name="user_id", dtype=Int64), Field(name="n", dtype=Int64), Field(name="x", dtype=Float64)]
    name = type(offline).__name__
    store = FeatureStore(
        config=RepoConfig(
            project="test",
            provider="local",
            registry=str(folder / f"{name}.db"),
            offline_store=offline,
            online_store=None,
            entity_key_serialization_version=3,
        )
    )
    store.apply([user, FeatureView(name="taste", entities=[user], ttl=ttl, schema=schema, source=source)])
    return store


def _random_rows(draw: random.Random, rows: int) -> pl.DataFrame:
    """Distinct (user, event, creation), some created long after the event."""
    distinct = {
        (draw.randrange(4), event := draw.randrange(60), event + draw.choice([0, 0, 5, 30])) for _ in range(rows)
    }
    users, events, created = zip(*sorted(distinct), strict=True)
    return pl.DataFrame(
        {
            "user_id": users,
            "n": range(len(users)),
            "x": [draw.choice([None, draw.random()]) for _ in users],
            "event_timestamp": [START + timedelta(seconds=second) for second in events],
            "created_timestamp": [START + timedelta(seconds=second) for second in created],
        }
    )


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")  # in ibis, behind the oracle
@pytest.mark.parametrize("by_created", [True, False])
@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(seconds=10)])
def test_the_answer_is_feasts_own(tmp_path: Path, by_created: bool, ttl: timedelta) -> None:
    draw = random.Random(11)
    _random_rows(draw, 80).write_parquet(tmp_path / "taste.parquet")
    asked = pd.DataFrame(
        {
            "user_id": [draw.randrange(5) for _ in range(100)],
            "event_timestamp": [START + timedelta(seconds=draw.randrange(-5, 100)) for _ in range(100)],
        }
    ).drop_duplicates()
    answers = [
        _store(tmp_path, offline, ttl)
        .get_historical_features(
            asked, ["taste:n", "taste:x"], full_feature_names=True, filter_by_created_timestamp=by_created
        )
        .to_df()
        .sort_values(["user_id", "event_timestamp"])[["user_id", "taste__n", "taste__x"]]
        .astype("float64")
        .reset_index(drop=True)
        for offline in (AsofDuckDBOfflineStoreConfig(), DuckDBOfflineStoreConfig())
    ]
    assert answers[0]["taste__n"].notna().any()
    pd.testing.assert_frame_equal(*answers)


def test_equal_rows_are_answered_each_in_its_place(tmp_path: Path) -> None:
    _random_rows(random.Random(1), 40).write_parquet(tmp_path / "taste.parquet")
    moment = START + timedelta(seconds=50)
    asked = pd.DataFrame({"user_id": [3, 0, 3, 9, 3], "event_timestamp": [moment] * 5})
    answer = _store(tmp_path, AsofDuckDBOfflineStoreConfig(), timedelta(0)).get_historical_features(
        asked, ["taste:n"], filter_by_created_timestamp=True
    )
    got = answer.to_df()
    assert got["user_id"].tolist() == [3, 0, 3, 9, 3]
    assert got["n"].nunique() == 2
    assert got["n"].isna().tolist() == [False, False, False, True, False]
