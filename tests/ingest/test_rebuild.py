"""Stores that were lost: the log or the lake makes the same features again."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from redis import Redis

from services.features.packing import VIEWS_KEY, View
from services.features.rewrite import rewrite
from services.features.rows import unpack
from services.ingest.activity import DAY_US
from services.ingest.bootstrap import fill_online_store
from services.ingest.commands import main
from services.ingest.lake import Lake
from services.ingest.materialize import materialize
from services.ingest.online import OnlineWriter, load_views
from services.ingest.rebuild import empty, is_empty, rebuild
from services.ingest.records import Batch, LogRecord, read_batch
from services.ingest.service import SERVICE
from services.ingest.settings import IngestSettings
from services.pb import events_pb2
from services.runtime.errors import Conflict
from services.runtime.eventlog import CATALOG, EVENTS, IMPRESSIONS
from services.runtime.server import serving
from tests.ingest.log import Sender, change, event, eventually, impression, lake_rows, read_log, rows, value

KINDS = ("click", "watch", "watch", "like", "dislike", "hide", "follow", "purchase")
LISTS = ("seen", "hidden")


def some_events(draw: random.Random, count: int) -> list[events_pb2.Event]:
    """Events of ten users on thirty items over ninety days, in no order."""
    return [
        event(
            draw.randint(1, 10), draw.randint(1, 30), draw.choice(KINDS), ts_us=draw.randrange(DAY_US, 90 * DAY_US),
            **({"value": draw.choice([1.0, 3.5, 5.0])} if draw.random() < 0.5 else {}),
        )
        for _ in range(count)
    ]  # fmt: skip


def some_changes() -> list[events_pb2.CatalogChange]:
    """Items put, put again without a date, deleted; a user put, another forgotten."""
    changes = [
        change(put_item=events_pb2.ItemRecord(id=1, item_id="heat", title="Heet", genres=["Crime"], year=1995)),
        change(put_item=events_pb2.ItemRecord(id=1, item_id="heat", title="Heat", creators=["Mann"])),
        change(put_item=events_pb2.ItemRecord(id=2, title="Ran", created_us=5 * DAY_US)),
        change(delete_item=2),
        change(put_user=events_pb2.UserRecord(id=3, user_id="ann", profile={"gender": "F", "shoe": "41"})),
        change(delete_user=4),
    ]
    for day, made in enumerate(changes):
        made.ts_us = (40 + day) * DAY_US
    return changes


def features(redis: Redis, layouts: dict[str, View]) -> dict[str, list[Any]]:
    """Everything in every view; lists of what is excluded as sets, numbers up to rounding."""
    ids, found = np.arange(1, 40, dtype=np.uint64), {}
    for name, view in layouts.items():
        stored = unpack(view, ids, redis.mget(view.keys(ids)))  # type: ignore[arg-type]  # the stub allows for a coroutine
        found[f"{name} at"] = stored.event_times_us().tolist()
        for field in view.fields:
            found[f"{name}.{field}"] = [_plain(field, each) for each in stored.values(field)]
    found["catalog"] = sorted(redis.smembers(layouts["item_profile"].index))  # type: ignore[arg-type]  # likewise
    return found


def _plain(field: str, given: Any) -> Any:
    if isinstance(given, np.ndarray):
        given = given.tolist()
    if field in LISTS and given is not None:
        return sorted(given)
    return repr([round(each, 4) for each in given]) if isinstance(given, list) else repr(_rounded(given))


def _rounded(given: Any) -> Any:
    return float(f"{given:.5g}") if isinstance(given, float) else given


def whole_log(url: str, count: int) -> list[LogRecord]:
    """Every record of a broker that holds `count`, the catalog first: deletions before the events they forget."""
    found: list[LogRecord] = read_log(url, count, EVENTS, IMPRESSIONS, CATALOG)
    return sorted(found, key=lambda record: record.topic != CATALOG)


def ingested(redis: Redis, layouts: dict[str, View], data_dir: Path, log: list[LogRecord]) -> None:
    """What ingest does with a log, without its loop."""
    writer, lake = OnlineWriter(redis, layouts), Lake(data_dir / "lake", redis)
    for start in range(0, len(log), 100):
        batch = read_batch(log[start : start + 100])
        writer.write(batch.events, batch.changes)
        lake.add(batch)
    lake.flush()


async def test_live_and_replayed_from_the_log_and_rebuilt_from_the_lake_are_the_same(
    redis: Redis, layouts: dict[str, View], settings: IngestSettings, sender: Sender, tmp_path: Path
) -> None:
    events, changes = some_events(random.Random(5), 400), some_changes()
    sender.send("catalog", *changes)
    sender.send("impressions", impression("r-1", [1, 2]))
    async with serving(SERVICE, settings):
        eventually(lambda: len(lake_rows(tmp_path, "catalog")) == len(changes), "the catalog in the lake")
        sender.send("events", *events)
        eventually(lambda: len(lake_rows(tmp_path, "events")) == len(events), "the events in the lake")
    live = features(redis, layouts)

    empty(redis)
    log = whole_log(settings.kafka_url, len(events) + len(changes) + 1)
    ingested(redis, layouts, tmp_path / "elsewhere", log)
    assert len(lake_rows(tmp_path / "elsewhere", "events")) == 400
    replayed = features(redis, layouts)

    empty(redis)
    counts = rebuild(tmp_path, settings.redis_url)
    assert (counts["events"], counts["catalog"]) == (400, 6)
    rebuilt = features(redis, layouts)
    for name, expected in live.items():
        assert rebuilt[name] == expected, name
        assert replayed[name] == expected, name

    # The log from its start changes nothing after a rebuild: neither features nor the lake.
    ingested(redis, layouts, tmp_path, log)
    assert features(redis, layouts) == rebuilt
    assert (len(lake_rows(tmp_path, "events")), len(lake_rows(tmp_path, "impressions"))) == (400, 2)


def test_a_store_that_holds_features_is_not_folded_into(redis: Redis, redis_url: str, tmp_path: Path) -> None:
    assert is_empty(redis)
    OnlineWriter(redis, load_views(redis)).write([event()], [])
    with pytest.raises(Conflict, match="--empty"):
        rebuild(tmp_path, redis_url)
    empty(redis)
    assert is_empty(redis)
    assert redis.exists(VIEWS_KEY)


def test_the_command_empties_the_store_and_says_what_it_folded(
    redis: Redis,
    redis_url: str,
    layouts: dict[str, View],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CASCADE_REDIS_URL", redis_url)
    monkeypatch.setenv("CASCADE_DATA_DIR", str(tmp_path))
    lake, kept = Lake(tmp_path / "lake", redis), event(7, 1)
    lake.add(Batch(events=[kept]))
    lake.flush()
    OnlineWriter(redis, layouts).write([event(8, 1)], [])
    with pytest.raises(SystemExit) as ended:
        main(["rebuild"])
    assert ended.value.code == 2
    assert "--empty" in capsys.readouterr().err
    main(["rebuild", "--empty"])
    assert "1 events" in capsys.readouterr().out
    assert value(redis, layouts, "user_activity", 7, "event_count") == 1
    assert rows(redis, layouts["user_activity"], 8).presence.tolist() == [1]


def offline(data_dir: Path, view: View, ids: list[int], **columns: Any) -> None:
    """A file as the history builder leaves it, known from the beginning."""
    moment = pl.lit(0, pl.Int64).cast(pl.Datetime("us", "UTC"))
    given = {name: columns.get(name, [None] * len(ids)) for name in view.fields}
    (data_dir / "offline").mkdir(exist_ok=True)
    frame = pl.DataFrame({view.key: ids} | given).with_columns(event_timestamp=moment)
    frame.write_parquet(data_dir / "offline" / f"{view.name}.parquet")


def test_materializing_does_not_bring_a_deleted_item_back(
    redis: Redis, redis_url: str, layouts: dict[str, View], tmp_path: Path
) -> None:
    view = layouts["item_profile"]
    offline(tmp_path, view, [1, 2], title=["One", "Two"])
    writer = OnlineWriter(redis, layouts)
    writer.write([], [change(delete_item=1)])
    materialize(tmp_path, redis_url, {view.name: view})
    assert rows(redis, view, 1, 2).presence.tolist() == [1, 0]
    assert redis.smembers(view.index) == {b"2"}


def test_an_item_deleted_while_it_is_materialized_stays_deleted(
    redis: Redis, redis_url: str, layouts: dict[str, View], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = layouts["item_profile"]
    offline(tmp_path, view, [1, 2], title=["One", "Two"])

    def rewritten(*arguments: Any) -> None:
        OnlineWriter(redis, layouts).write([], [change(delete_item=1)])
        rewrite(*arguments)

    monkeypatch.setattr("services.ingest.materialize.rewrite", rewritten)
    materialize(tmp_path, redis_url, {view.name: view})
    assert rows(redis, view, 1, 2).presence.tolist() == [1, 0]
    assert redis.smembers(view.index) == {b"2"}


def test_a_lost_store_is_filled_with_the_catalog_as_it_was_changed_live(
    redis: Redis, redis_url: str, layouts: dict[str, View], tmp_path: Path
) -> None:
    for view in layouts.values():
        offline(tmp_path, view, [1, 2])
    lake = Lake(tmp_path / "lake", redis)
    lake.add(Batch(changes=[change(delete_item=1), change(put_item=events_pb2.ItemRecord(id=3, title="Three"))]))
    lake.flush()
    (tmp_path / "lake" / "snapshot.json").write_text("{}")
    redis.flushdb()
    assert fill_online_store(tmp_path, redis_url)
    assert redis.smembers(layouts["item_profile"].index) == {b"2", b"3"}
    assert not fill_online_store(tmp_path, redis_url)


def test_imported_history_is_folded_and_not_remembered_by_the_ledger(
    redis: Redis, redis_url: str, layouts: dict[str, View], tmp_path: Path
) -> None:
    lake = Lake(tmp_path / "lake", redis)
    lake.add(Batch(events=[event(7, item, ts_us=DAY_US + item) for item in range(1, 4)]))
    lake.flush()
    day = next((tmp_path / "lake" / "events").glob("date=*"))
    next(day.glob("*.parquet")).rename(tmp_path / "lake" / "events" / "ml-1m.parquet")
    empty(redis)
    assert rebuild(tmp_path, redis_url)["imported events"] == 3
    assert value(redis, layouts, "user_history", 7, "history").tolist() == [1, 2, 3]
    assert not redis.keys("cascade:ledger:*")


def test_a_row_that_is_newer_than_the_deletion_is_materialized(
    redis: Redis, redis_url: str, layouts: dict[str, View], tmp_path: Path
) -> None:
    view = layouts["item_activity"]
    gone = change(delete_item=1)
    OnlineWriter(redis, layouts).write([], [gone])
    offline(tmp_path, view, [1], event_count=[7])
    path = tmp_path / "offline" / "item_activity.parquet"
    later = pl.lit(gone.ts_us + 1, pl.Int64).cast(pl.Datetime("us", "UTC"))
    pl.read_parquet(path).with_columns(event_timestamp=later).write_parquet(path)
    materialize(tmp_path, redis_url, {view.name: view})
    assert value(redis, layouts, "item_activity", 1, "event_count") == 7
