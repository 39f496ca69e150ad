"""The history builder against the fold, the point-in-time join against the log."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from feast import FeatureStore
from redis import Redis

from services.features.definitions import apply_definitions, views
from services.features.packing import pack
from services.features.rows import unpack
from services.ingest.activity import Event, ItemActivity, UserActivity, apply
from services.ingest.materialize import materialize
from services.ingest.states import item_columns, item_states, user_columns, user_states
from services.trainer.data.lake import read_events
from services.trainer.history import activity, build_history
from services.trainer.history_lists import NEWEST_STATES
from services.trainer.point_in_time import point_in_time

START = datetime(2026, 1, 1, tzinfo=UTC)
USERS, ITEMS, EVENTS = 6, 60, 900
VIEWS = views()


def _lake(folder: Path, seed: int = 3) -> pl.DataFrame:
    """A lake of random events of every type in two files, some of them twice and out of order."""
    draw = random.Random(seed)
    types = ("click", "watch", "watch", "watch", "like", "dislike", "hide", "follow", "purchase")
    stamps = draw.sample(range(400 * 86_400), EVENTS)
    events = pl.DataFrame(
        {
            "event_id": [f"e{number}" for number in range(EVENTS)],
            "type": [draw.choice(types) for _ in range(EVENTS)],
            "user_id": [draw.randrange(1, USERS + 1) for _ in range(EVENTS)],
            "item_id": [int(draw.paretovariate(0.7)) % ITEMS + 1 for _ in range(EVENTS)],
            "ts": [START + timedelta(seconds=second, microseconds=second % 7) for second in stamps],
            "value": [draw.choice([None, 1.0, 3.5, 4.0, 5.0, 90.0, float("nan")]) for _ in range(EVENTS)],
        },
        schema={
            "event_id": pl.String, "type": pl.String, "user_id": pl.UInt64, "item_id": pl.UInt64,
            "ts": pl.Datetime("us", "UTC"), "value": pl.Float32,
        },
    )  # fmt: skip
    (folder / "lake" / "events" / "day=1").mkdir(parents=True)
    events[:500].write_parquet(folder / "lake" / "events" / "first.parquet")
    events[480:].write_parquet(folder / "lake" / "events" / "day=1" / "second.parquet")
    _profiles(folder / "lake")
    return events


def _profiles(lake: Path) -> None:
    users = range(1, USERS + 1)
    names = [str(number) for number in users]
    unknown = pl.Series([None] * USERS, dtype=pl.String)
    pl.DataFrame(
        {"user_id": users, "external_id": names, "gender": unknown, "age": names, "occupation": names, "region": names},
        schema_overrides={"user_id": pl.UInt64},
    ).write_parquet(lake / "users.parquet")
    items = range(1, ITEMS + 1)
    pl.DataFrame(
        {
            "item_id": items,
            "external_id": [str(number) for number in items],
            "title": [f"Title {number}" for number in items],
            "year": [1990] * ITEMS,
            "genres": [["Drama", "War"]] * ITEMS,
            "creators": [[]] * ITEMS,
            "created_at": [START] * ITEMS,
        },
        schema_overrides={
            "item_id": pl.UInt64, "year": pl.Int32, "creators": pl.List(pl.String),
            "created_at": pl.Datetime("us", "UTC"),
        },
    ).write_parquet(lake / "items.parquet")  # fmt: skip


def _in_order(events: pl.DataFrame) -> Iterator[Event]:
    for row in events.sort("ts").iter_rows(named=True):
        stamp = (row["ts"] - START) // timedelta(microseconds=1) + int(START.timestamp()) * 1_000_000
        yield Event(row["type"], row["user_id"], row["item_id"], stamp, row["value"])


def _micros(frame: pl.DataFrame) -> list[int]:
    return frame["event_timestamp"].to_physical().to_list()


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def test_every_row_of_the_scalar_views_is_the_fold_after_its_event(tmp_path: Path) -> None:
    events = _lake(tmp_path)
    rows = build_history(tmp_path)
    assert rows["user_activity"] == rows["item_activity"] == EVENTS
    users, items = dict[int, UserActivity](), dict[int, ItemActivity]()
    stored = {
        view: pl.read_parquet(tmp_path / "offline" / f"{view}.parquet") for view in ("user_activity", "item_activity")
    }
    for at, event in enumerate(_in_order(events)):
        users[event.user_id] = apply(users.get(event.user_id, UserActivity()), event)
        items[event.item_id] = apply(items.get(event.item_id, ItemActivity()), event)
        expected = {
            "user_activity": user_columns([users[event.user_id]])["user_activity"],
            "item_activity": item_columns([items[event.item_id]])["item_activity"],
        }
        for view, columns in expected.items():
            row = stored[view].row(at, named=True)
            assert row[VIEWS[view].key] == (event.user_id if view == "user_activity" else event.item_id)
            for name, values in columns.items():
                assert row[name] == pytest.approx(values[0], rel=1e-6, nan_ok=True), (view, name, at)


def test_list_views_are_the_fold_after_each_of_the_newest_events(tmp_path: Path) -> None:
    events = _lake(tmp_path)
    build_history(tmp_path)
    states = dict[int, list[UserActivity]]()
    for event in _in_order(events):
        own = states.setdefault(event.user_id, [UserActivity()])
        own.append(apply(own[-1], event))
    for view in ("user_history", "user_exclusions"):
        stored = pl.read_parquet(tmp_path / "offline" / f"{view}.parquet")
        assert len(stored) == USERS * NEWEST_STATES
        for user_id, own in states.items():
            rows = stored.filter(pl.col("user_id") == user_id)
            newest = own[-NEWEST_STATES:]
            assert _micros(rows) == [state.updated_us for state in newest]
            for name, values in user_columns(newest)[view].items():
                for got, expected in zip(rows[name].to_list(), values, strict=True):
                    np.testing.assert_array_equal(got, _plain(expected))


def test_events_of_one_moment_stay_in_file_order(tmp_path: Path) -> None:
    (tmp_path / "lake" / "events").mkdir(parents=True)
    pl.DataFrame(
        {"event_id": [str(n) for n in range(50)], "type": "watch", "user_id": 1, "item_id": range(50), "ts": START},
        schema_overrides={"ts": pl.Datetime("us", "UTC")},
    ).with_columns(value=pl.lit(None, pl.Float32)).write_parquet(tmp_path / "lake" / "events" / "a.parquet")
    assert read_events(tmp_path / "lake")["item_id"].to_list() == list(range(50))


def test_events_of_one_key_and_moment_leave_the_state_after_the_last(tmp_path: Path) -> None:
    (tmp_path / "lake" / "events").mkdir(parents=True)
    events = pl.DataFrame(
        {
            "event_id": ["a", "b", "c", "d"],
            "type": "watch",
            "user_id": [1, 2, 3, 1],
            "item_id": [9, 9, 9, 8],
            "ts": [START, START, START, START + timedelta(microseconds=1)],
            "value": [5.0, 1.0, 4.0, 2.0],
        },
        schema_overrides={"ts": pl.Datetime("us", "UTC"), "value": pl.Float32},
    )
    events.write_parquet(tmp_path / "lake" / "events" / "a.parquet")
    log = read_events(tmp_path / "lake")
    items, users = activity(log, "item_id"), activity(log, "user_id")
    assert items.select("item_id", "event_count", "value_sum", "like_count").rows() == [(9, 3, 10.0, 2), (8, 1, 2.0, 0)]
    assert users.select("user_id", "event_count").rows() == [(1, 1), (2, 1), (3, 1), (1, 2)]


def test_progress_runs_to_the_end_and_no_draft_is_left(tmp_path: Path) -> None:
    _lake(tmp_path)
    told: list[tuple[str, float]] = []
    build_history(tmp_path, lambda view, share: told.append((view, share)))
    assert {view for view, _ in told} == set(VIEWS)
    assert told[-1][1] == 1.0
    assert {path.name for path in (tmp_path / "offline").iterdir()} == {f"{view}.parquet" for view in VIEWS}


@pytest.fixture
def store(tmp_path: Path, redis_url: str) -> FeatureStore:
    with Redis.from_url(redis_url) as client:
        client.flushall()
    return apply_definitions(tmp_path, redis_url)


def test_a_point_in_time_join_sees_only_what_came_before(tmp_path: Path, store: FeatureStore) -> None:
    events = _lake(tmp_path)
    build_history(tmp_path)
    draw = random.Random(9)
    asked = events.select("user_id", "item_id", pl.col("ts").alias("event_timestamp"), "value").sample(200, seed=1)
    elsewhen = pl.DataFrame(
        {
            "user_id": [draw.randrange(USERS + 2) for _ in range(100)],
            "item_id": [draw.randrange(ITEMS + 5) for _ in range(100)],
            "event_timestamp": [START + timedelta(days=draw.random() * 500 - 50) for _ in range(100)],
            "value": [None] * 100,
        },
        schema=asked.schema,
    )
    asked = pl.concat([asked, elsewhen, elsewhen[:5]])
    answer = point_in_time(store, asked, "ranker_training")
    assert answer.select(asked.columns).equals(asked)
    counted = events.filter(pl.col("type") != "hide")
    for row in answer.iter_rows(named=True):
        before = counted.filter(pl.col("ts") < row["event_timestamp"])
        for key in ("user", "item"):
            known = before.filter(pl.col(f"{key}_id") == row[f"{key}_id"])
            assert (row[f"{key}_activity__event_count"] or 0) == len(known)


def test_the_materialized_store_holds_the_fold_of_the_whole_log(
    tmp_path: Path, store: FeatureStore, redis_url: str
) -> None:
    events = _lake(tmp_path)
    build_history(tmp_path)
    told: list[tuple[str, int, int]] = []
    written = materialize(tmp_path, redis_url, VIEWS, lambda *progress: told.append(progress))
    assert written["item_profile"] == ITEMS
    assert told[-1][1] == told[-1][2]
    users, items = dict[int, UserActivity](), dict[int, ItemActivity]()
    for event in _in_order(events):
        users[event.user_id] = apply(users.get(event.user_id, UserActivity()), event)
        items[event.item_id] = apply(items.get(event.item_id, ItemActivity()), event)
    with Redis.from_url(redis_url) as client:
        ids = np.array(sorted(users), np.uint64)
        names = ("user_activity", "user_history", "user_exclusions")
        stored = {name: unpack(VIEWS[name], ids, client.mget(VIEWS[name].keys(ids))) for name in names}
        item_ids = np.array(sorted(items), np.uint64)
        view = VIEWS["item_activity"]
        item_rows = unpack(view, item_ids, client.mget(view.keys(item_ids)))
        assert client.scard("cascade:index:item_profile") == ITEMS
    for user_id, state in zip(sorted(users), user_states(stored), strict=True):
        assert repr(state.history) == repr(users[user_id].history)
        assert state.exclusions == users[user_id].exclusions
        assert state.counts.recent_count == pytest.approx(users[user_id].counts.recent_count)
    for item_id, item in zip(sorted(items), item_states(item_rows), strict=True):
        assert item.counts.event_count == items[item_id].counts.event_count
        assert item.updated_us == items[item_id].updated_us


def test_materializing_does_not_undo_what_the_stream_wrote_since(
    tmp_path: Path, store: FeatureStore, redis_url: str
) -> None:
    _lake(tmp_path)
    build_history(tmp_path)
    view, ids = VIEWS["item_activity"], np.array([1], np.uint64)
    later = np.array([int((START + timedelta(days=999)).timestamp() * 1e6)], np.int64)
    with Redis.from_url(redis_url) as client:
        client.mset(pack(view, ids, {"event_count": [10**6]}, later))
        materialize(tmp_path, redis_url, VIEWS)
        materialize(tmp_path, redis_url, VIEWS)
        again = unpack(view, ids, client.mget(view.keys(ids)))
        assert again.values("event_count") == [10**6]
        assert client.exists("cascade:item_activity:2")
