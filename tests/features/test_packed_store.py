"""Feast's own Redis store, given the same rows, is the oracle of the packed one."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
from feast import FeatureStore, RepoConfig
from feast.infra.online_stores.redis import RedisOnlineStoreConfig
from redis import Redis

from services.features.definitions import ENTITIES, SERVICES, VIEWS

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@pytest.fixture
def stock(store: FeatureStore, redis_url: str, tmp_path: Path) -> FeatureStore:
    """Feast with the same definitions and its own Redis layout, in another database of the same server."""
    address = urlsplit(redis_url)
    oracle = FeatureStore(
        config=RepoConfig(
            project="cascade",
            provider="local",
            registry=str(tmp_path / "stock.db"),
            offline_store={"type": "duckdb"},
            online_store=RedisOnlineStoreConfig(connection_string=f"{address.hostname}:{address.port},db=1"),
            entity_key_serialization_version=3,
        )
    )
    oracle.apply([*ENTITIES, *VIEWS, *SERVICES])
    return oracle


def _profiles(rows: list[dict[str, Any]], at: datetime = NOW) -> pd.DataFrame:
    frame = pd.DataFrame(rows).assign(event_timestamp=at, created_timestamp=at)
    return frame.astype({"year": "Int32"}) if "year" in frame else frame


def _answer(store: FeatureStore, service: str, key: str, ids: list[int]) -> dict[str, list[Any]]:
    response = store.get_online_features(
        store.get_feature_service(service), [{key: number} for number in ids], full_feature_names=True
    )
    return {name: [_plain(value) for value in values] for name, values in sorted(response.to_dict().items())}


def _plain(value: Any) -> Any:
    """NaN compares equal to itself here."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


def _item(number: int, **fields: Any) -> dict[str, Any]:
    known = {"external_id": str(number), "title": "Œuvre", "year": 1999, "genres": ["a", "b"], "creators": []}
    return {"item_id": number, "created_days": 1.5} | known | fields


def test_items_read_as_in_feasts_own_store(store: FeatureStore, stock: FeatureStore) -> None:
    rows = [
        _item(1),
        _item(2, title=None, year=None, genres=None, creators=["é", ""]),
        _item(2**62, external_id="x", title="", genres=[]),
    ]
    for each in (store, stock):
        each.write_to_online_store("item_profile", _profiles(rows))
    ids = [5, 2, 2**62, 1, 2]
    assert _answer(store, "item_table", "item_id", ids) == _answer(stock, "item_table", "item_id", ids)


def test_users_read_as_in_feasts_own_store(store: FeatureStore, stock: FeatureStore) -> None:
    draw = random.Random(7)
    counts = [
        {
            "user_id": number, "event_count": draw.randrange(10**12), "like_count": 1, "judged_count": 2,
            "value_count": 3, "value_sum": draw.random(), "recent_count": draw.random(), "like_rate": 0.25,
            "mean_value": 3.5, "last_seen_us": draw.randrange(2**53), "last_seen_days": 20000.5,
        }
        for number in range(1, 8)
    ]  # fmt: skip
    histories = [
        {
            "user_id": number, "history": [draw.randrange(2**62) for _ in range(number)],
            "history_times": list(range(number)), "history_values": [0.5 * n for n in range(number)],
        }
        for number in range(8)
    ]  # fmt: skip
    exclusions = [{"user_id": number, "seen": list(range(number)), "hidden": []} for number in range(8)]
    for each in (store, stock):
        for view, rows in (("user_activity", counts), ("user_history", histories), ("user_exclusions", exclusions)):
            each.write_to_online_store(view, _profiles(rows))
    ids = [3, 0, 7, 99]
    assert _answer(store, "user_request", "user_id", ids) == _answer(stock, "user_request", "user_id", ids)


def test_a_partial_write_keeps_the_other_features(store: FeatureStore, stock: FeatureStore) -> None:
    provider_rows = _item(1)
    for each in (store, stock):
        each.write_to_online_store("item_profile", _profiles([provider_rows]))
        later = _values(each, {"title": "new"}, NOW + timedelta(seconds=1))
        each._get_provider().online_write_batch(each.config, each.get_feature_view("item_profile"), later, None)
    got = _answer(store, "item_table", "item_id", [1])
    assert got["item_profile__title"] == ["new"]
    assert got["item_profile__genres"] == [["a", "b"]]
    assert got == _answer(stock, "item_table", "item_id", [1])


def _values(store: FeatureStore, features: dict[str, str], at: datetime) -> list[Any]:
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    key = EntityKey(join_keys=["item_id"], entity_values=[Value(int64_val=1)])
    return [(key, {name: Value(string_val=text) for name, text in features.items()}, at, at)]


def test_an_older_row_does_not_replace_a_newer_one(store: FeatureStore, stock: FeatureStore) -> None:
    for each in (store, stock):
        each.write_to_online_store("item_profile", _profiles([_item(1, title="new")], NOW))
        each.write_to_online_store("item_profile", _profiles([_item(1, title="old")], NOW - timedelta(microseconds=1)))
        each.write_to_online_store("item_profile", _profiles([_item(1, title="same")], NOW))
    got = _answer(store, "item_table", "item_id", [1])
    assert got["item_profile__title"] == ["new"]
    assert got == _answer(stock, "item_table", "item_id", [1])


def test_the_newest_of_a_batch_wins_in_any_order(store: FeatureStore) -> None:
    rows = [_item(1, title=str(seconds)) for seconds in (3, 9, 1)]
    frame = _profiles(rows).assign(event_timestamp=[NOW + timedelta(seconds=int(row["title"])) for row in rows])
    store.write_to_online_store("item_profile", frame)
    assert _answer(store, "item_table", "item_id", [1])["item_profile__title"] == ["9"]


def test_items_are_listed_in_the_index(store: FeatureStore, redis: Redis) -> None:
    store.write_to_online_store("item_profile", _profiles([_item(1), _item(2)]))
    assert redis.smembers("cascade:index:item_profile") == {b"1", b"2"}


def test_applying_again_keeps_the_rows_and_teardown_removes_them(store: FeatureStore, redis: Redis) -> None:
    store.write_to_online_store("item_profile", _profiles([_item(1)]))
    store.apply([*ENTITIES, *VIEWS, *SERVICES])
    assert redis.exists("cascade:item_profile:1")
    store.teardown()  # type: ignore[no-untyped-call]  # Feast leaves it untyped
    assert redis.keys("cascade:item*") == []
