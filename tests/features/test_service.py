"""The service over gRPC, on a real Redis written as the stream writer writes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import grpc
import numpy as np
import pytest
from feast import FeatureStore
from redis import Redis

from models.items import ITEM_COLUMNS, ItemTable
from services.features.definitions import apply_definitions, views
from services.features.packing import Column, pack
from services.features.service import CHUNK, MOST_ITEMS, SERVICE
from services.features.settings import FeaturesSettings
from services.pb import features_pb2, features_pb2_grpc
from services.runtime.client import open_channel
from services.runtime.convert import ids_from_proto, items_from_proto, matrix_from_proto, user_from_proto
from services.runtime.itemfeed import ItemFeed
from services.runtime.server import serving
from services.runtime.stores import redis_server

VIEWS = views()
DEADLINE_S = 20.0
YEAR_US = 365 * 86_400_000_000


def _write(redis: Redis, view: str, ids: list[int], columns: Mapping[str, Column], time_us: int | None = None) -> None:
    times = np.full(len(ids), time.time_ns() // 1000 if time_us is None else time_us)
    redis.mset(cast(dict[Any, Any], pack(VIEWS[view], np.array(ids, np.uint64), columns, times)))
    if VIEWS[view].indexed:
        redis.sadd(VIEWS[view].index, *ids)


def _put_items(redis: Redis, *ids: int, title: str = "t") -> None:
    columns: dict[str, Column] = {
        "external_id": [f"m{number}" for number in ids],
        "title": [f"{title}{number}" for number in ids],
        "year": [1990 + number % 10 for number in ids],
        "genres": [("Action", "Comedy")] * len(ids),
        "creators": [()] * len(ids),
        "created_days": [10.5] * len(ids),
    }
    _write(redis, "item_profile", list(ids), columns)


def _delete_item(redis: Redis, number: int) -> None:
    redis.delete(*(VIEWS[name].keys(np.array([number], np.uint64))[0] for name in ("item_profile", "item_activity")))
    redis.srem(VIEWS["item_profile"].index, number)


@asynccontextmanager
async def _features(url: str, **settings: Any) -> AsyncIterator[tuple[features_pb2_grpc.FeaturesAsyncStub, str]]:
    chosen = FeaturesSettings(port=0, redis_url=url, drain_seconds=0.0, coalesce_ms=10.0, **settings)
    async with serving(SERVICE, chosen) as running, open_channel(f"grpc://{running.address}") as channel:
        yield features_pb2_grpc.FeaturesStub(channel), f"grpc://{running.address}"


async def _until(feed: ItemFeed, holds: Callable[[ItemTable], bool]) -> None:
    changed = asyncio.Event()
    feed.on_change(lambda table: changed.set())
    async with asyncio.timeout(DEADLINE_S):
        while not holds(feed.table):
            changed.clear()
            await changed.wait()


async def test_a_user_is_answered_whole(store: FeatureStore, redis: Redis, redis_url: str) -> None:
    _write(redis, "user_profile", [7], {"external_id": ["7"], "gender": ["F"], "age": [None], "occupation": ["10"]})
    _write(redis, "user_activity", [7], {"event_count": [3], "recent_count": [1.5], "like_rate": [0.5]})
    _write(
        redis, "user_history", [7], {"history": [[5, 6]], "history_times": [[1, 2]], "history_values": [[4, np.nan]]}
    )
    _write(redis, "user_exclusions", [7], {"seen": [[5, 6, 9]], "hidden": [[2**62]]})
    async with _features(redis_url) as (stub, _):
        answer = await stub.GetUser(features_pb2.GetUserRequest(user_id=7))
    user = user_from_proto(answer.user)
    assert user.profile == {"gender": "F", "occupation": "10"}
    assert user.history.tolist() == [5, 6]
    assert user.history_times.tolist() == [1, 2]
    np.testing.assert_array_equal(user.history_values, [4, np.nan])
    assert user.activity["event_count"] == 3
    assert user.activity["recent_count"] == 1.5
    assert user.seen.tolist() == [5, 6, 9]
    assert user.hidden.tolist() == [2**62]
    assert not answer.missing


async def test_an_unknown_user_is_an_answer_with_every_view_absent(store: FeatureStore, redis_url: str) -> None:
    async with _features(redis_url) as (stub, _):
        answer = await stub.GetUser(features_pb2.GetUserRequest(user_id=404))
    assert user_from_proto(answer.user).is_cold
    assert {(part.view, part.reason, tuple(part.ids)) for part in answer.missing} == {
        (view, features_pb2.Missing.ABSENT, (404,))
        for view in ("user_profile", "user_activity", "user_history", "user_exclusions")
    }


async def test_old_activity_is_expired_and_an_old_profile_is_not(
    store: FeatureStore, redis: Redis, redis_url: str
) -> None:
    _write(redis, "user_profile", [7], {"gender": ["F"]}, time_us=0)
    six_years_ago = time.time_ns() // 1000 - 6 * YEAR_US
    for view in ("user_activity", "user_history", "user_exclusions"):
        _write(redis, view, [7], {}, time_us=six_years_ago)
    async with _features(redis_url) as (stub, _):
        answer = await stub.GetUser(features_pb2.GetUserRequest(user_id=7))
    assert answer.user.profile == {"gender": "F"}
    assert {(part.view, part.reason) for part in answer.missing} == {
        (view, features_pb2.Missing.EXPIRED) for view in ("user_activity", "user_history", "user_exclusions")
    }


async def test_items_come_in_the_order_asked_as_feast_answers_them(
    store: FeatureStore, redis: Redis, redis_url: str
) -> None:
    _put_items(redis, 1, 2, 3)
    _write(redis, "item_activity", [1, 3], {"event_count": [5, 6], "like_rate": [0.25, 0.75], "recent_count": [1, 2]})
    ids = [3, 404, 1, 2, 3]
    async with _features(redis_url) as (stub, _):
        answer = await stub.GetFeatures(features_pb2.GetFeaturesRequest(user_id=1, item_ids=ids))
    oracle = store.get_online_features(
        store.get_feature_service("item_table"), [{"item_id": number} for number in ids], full_feature_names=True
    ).to_dict()
    got = matrix_from_proto(answer.items)
    assert tuple(answer.items.columns) == ITEM_COLUMNS
    for column, name in enumerate(ITEM_COLUMNS):
        view = "item_profile" if name in ("year", "created_days") else "item_activity"
        expected = np.array([np.nan if v is None else v for v in oracle[f"{view}__{name}"]], np.float32)
        np.testing.assert_array_equal(got[:, column], expected)
    assert {(part.view, tuple(part.ids)) for part in answer.missing if part.view.startswith("item")} == {
        ("item_profile", (404,)),
        ("item_activity", (404, 2)),
    }


async def test_no_items_is_an_answer(store: FeatureStore, redis_url: str) -> None:
    async with _features(redis_url) as (stub, _):
        answer = await stub.GetFeatures(features_pb2.GetFeaturesRequest(user_id=1))
    assert matrix_from_proto(answer.items).shape == (0, len(ITEM_COLUMNS))


async def test_more_items_than_the_limit_are_refused(store: FeatureStore, redis_url: str) -> None:
    async with _features(redis_url) as (stub, _):
        with pytest.raises(grpc.aio.AioRpcError, match=f"the limit is {MOST_ITEMS}") as refusal:
            await stub.GetFeatures(features_pb2.GetFeaturesRequest(user_id=1, item_ids=range(1, MOST_ITEMS + 2)))
    assert refusal.value.code() is grpc.StatusCode.OUT_OF_RANGE


async def test_a_watch_gets_the_catalog_then_every_change(store: FeatureStore, redis: Redis, redis_url: str) -> None:
    _put_items(redis, *range(1, CHUNK + 11))
    async with _features(redis_url) as (_, url), ItemFeed.connect(url) as feed:
        assert feed.table.ids.tolist() == list(range(1, CHUNK + 11))
        assert feed.table.genres[0] == ("Action", "Comedy")
        assert feed.table.item_ids[1] == "m2"
        _put_items(redis, 2, 9001, title="new")
        _delete_item(redis, 3)
        _write(redis, "item_activity", [4], {"event_count": [77]})
        await _until(feed, _settled)
        assert 3 not in feed.table.ids
        assert feed.table.titles[1] == "new2"


def _settled(table: ItemTable) -> bool:
    rows = table.rows_of(np.array([9001, 3, 4], np.uint64))
    return bool(rows[0] >= 0 and rows[1] < 0 and table.column("event_count")[rows[2]] == 77)


async def test_an_empty_catalog_is_a_snapshot_too(store: FeatureStore, redis_url: str) -> None:
    async with _features(redis_url) as (_, url), ItemFeed.connect(url) as feed:
        assert len(feed.table) == 0


async def test_writes_through_feast_are_seen_by_a_watch(store: FeatureStore, redis: Redis, redis_url: str) -> None:
    _put_items(redis, 1)
    async with _features(redis_url) as (_, url), ItemFeed.connect(url) as feed:
        import pandas as pd

        now = pd.Timestamp.now("UTC")
        row = {"item_id": [2], "external_id": ["b"], "title": ["B"], "event_timestamp": [now]}
        columns = {"year": [2000], "genres": [["x"]], "creators": [["y"]], "created_days": [1.0]}
        await asyncio.to_thread(
            store.write_to_online_store,
            "item_profile",
            pd.DataFrame(row | columns | {"created_timestamp": [now]}).astype({"year": "Int32"}),
        )
        await _until(feed, lambda table: len(table) == 2)
        assert feed.table.creators[1] == ("y",)


async def test_many_changes_of_one_item_are_sent_together(store: FeatureStore, redis: Redis, redis_url: str) -> None:
    _put_items(redis, 1)
    async with _features(redis_url) as (stub, _):
        stream = stub.WatchItems(features_pb2.WatchItemsRequest())
        updates = aiter(stream)
        while not (await anext(updates)).snapshot_end:
            pass
        for count in range(1, 201):
            _write(redis, "item_activity", [1], {"event_count": [count]})
        sent, last = 0, 0.0
        async with asyncio.timeout(DEADLINE_S):
            while last < 200:
                update = await anext(updates)
                assert ids_from_proto(update.upserts.ids).tolist() == [1]
                last = items_from_proto(update.upserts).features[0, ITEM_COLUMNS.index("event_count")]
                sent += 1
        assert sent < 200
        stream.cancel()


async def test_the_stream_starts_anew_after_redis_comes_back(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as url:
        port = int(url.rpartition(":")[2].partition("/")[0])
        apply_definitions(tmp_path, url)
        with Redis.from_url(url) as client:
            _put_items(client, 1, 2)
            async with _features(url) as (stub, address), ItemFeed.connect(address) as feed:
                assert len(feed.table) == 2
                await asyncio.to_thread(client.shutdown, nosave=True)
                await _refused(stub)
                assert len(feed.table) == 2
                with redis_server(tmp_path / "other", port) as again, Redis.from_url(again) as other:
                    apply_definitions(tmp_path, again)
                    _put_items(other, 2, 3, 4)
                    await _until(feed, lambda table: table.ids.tolist() == [2, 3, 4])
                    answer = await stub.GetUser(features_pb2.GetUserRequest(user_id=1))
                    assert answer.user.user_id == 1


async def _refused(stub: features_pb2_grpc.FeaturesAsyncStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="The online store, Redis at 127.0.0.1") as refusal:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                await stub.GetUser(features_pb2.GetUserRequest(user_id=1))
    assert refusal.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_flushed_store_empties_the_table(store: FeatureStore, redis: Redis, redis_url: str) -> None:
    _put_items(redis, 1, 2)
    async with _features(redis_url) as (_, url), ItemFeed.connect(url) as feed:
        redis.flushall()
        await _until(feed, lambda table: len(table) == 0)


async def test_a_store_without_definitions_is_said_at_start(redis: Redis, redis_url: str) -> None:
    with pytest.raises(Exception, match="apply the feature definitions first"):
        async with _features(redis_url, start_seconds=0.2):
            pass


async def test_stopping_ends_open_streams_at_once(store: FeatureStore, redis_url: str) -> None:
    settings = FeaturesSettings(port=0, redis_url=redis_url, drain_seconds=300.0)
    async with asyncio.timeout(DEADLINE_S), AsyncExitStack() as channels:
        async with serving(SERVICE, settings) as running:
            channel = await channels.enter_async_context(open_channel(f"grpc://{running.address}"))
            updates = aiter(features_pb2_grpc.FeaturesStub(channel).WatchItems(features_pb2.WatchItemsRequest()))
            assert (await anext(updates)).snapshot_end
        with pytest.raises(grpc.aio.AioRpcError, match="The features service is stopping"):
            await anext(updates)


def test_the_service_starts_without_feast() -> None:
    """Importing it costs seconds and hundreds of megabytes that a reader does not need."""
    program = "import sys, services.features.service, services.ingest.states; sys.exit('feast' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
