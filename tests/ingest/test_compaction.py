"""Small files that become one while others read."""

from __future__ import annotations

import fcntl
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from redis import Redis

from services.ingest import compaction as module
from services.ingest.activity import DAY_US
from services.ingest.compaction import Compaction
from services.ingest.files import level_of
from services.ingest.lake import Lake
from services.ingest.ledger import Ledger
from services.ingest.records import Batch
from services.trainer.data.lake import read_events
from tests.ingest.log import change, event, impression, lake_rows

DAY = "date=1970-01-04"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "lake"


def filled(root: Path, redis: Redis, files: int) -> list[str]:
    """So many files of three events, one impression and one change, the newest first within a file; the event ids."""
    ids, lake = [], Lake(root, redis)
    for number in range(files):
        events = [event(1, 1, ts_us=3 * DAY_US + 10 * number + 9 - place) for place in range(3)]
        shown, put = impression(f"r-{number}", [1, 2]), change(delete_item=number + 1)
        shown.ts_us = put.ts_us = 3 * DAY_US + number
        lake.add(Batch(events=events, impressions=[shown], changes=[put]))
        lake.flush()
        ids += [message.event_id for message in events]
    return ids


def names(root: Path, kind: str = "events") -> list[str]:
    return sorted(path.name for path in (root / kind / DAY).glob("*.parquet"))


def test_many_files_become_one_that_holds_every_row_once_and_sorted(root: Path, redis: Redis) -> None:
    ids = filled(root, redis, 5)
    done = Compaction(root, redis, most=4, grace_seconds=0).run_all()
    assert (done.merges, done.sources) == (3, 15)
    Compaction(root, redis, most=4, grace_seconds=0).run_all()
    assert [len(names(root, kind)) for kind in ("events", "impressions", "catalog")] == [1, 1, 1]
    found = lake_rows(root.parent, "events")
    assert Counter(row["event_id"] for row in found) == Counter(ids)
    assert [row["ts"] for row in found] == sorted(row["ts"] for row in found)
    shown = lake_rows(root.parent, "impressions")
    assert len({(row["recommendation_id"], row["position"]) for row in shown}) == len(shown) == 10
    assert [row["features"] for row in shown[:2]] == [[0.0, 1.0], [10.0, 11.0]]


def test_few_files_stay_as_they_are(root: Path, redis: Redis) -> None:
    filled(root, redis, 4)
    before = names(root)
    assert Compaction(root, redis, most=4).run_all().merges == 0
    assert names(root) == before


def test_sources_stay_for_whoever_listed_them_and_readers_see_each_row_once(root: Path, redis: Redis) -> None:
    ids = filled(root, redis, 5)
    before = set(names(root))
    compaction = Compaction(root, redis, most=4)
    assert compaction.run_all().deleted == 0
    assert before < set(names(root))
    assert compaction.waiting > 0
    assert sorted(read_events(root)["event_id"]) == sorted(ids)


class Killed(BaseException):
    """Nobody handles it, like a signal."""


def _killed(*_: Any, **__: Any) -> None:
    raise Killed


@pytest.mark.parametrize("point", ["write_file", "pq.write_table", "Path.unlink", "sync_folder", "Ledger.mark"])
def test_killed_at_any_point_it_neither_loses_nor_doubles_a_row(
    point: str, root: Path, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = filled(root, redis, 5)
    target = {
        "write_file": "services.ingest.compaction.write_file",
        "pq.write_table": "services.ingest.files.pq.write_table",
        "Path.unlink": "pathlib.Path.unlink",
        "sync_folder": "services.ingest.compaction.sync_folder",
        "Ledger.mark": "services.ingest.ledger.Ledger.mark",
    }[point]
    with monkeypatch.context() as dying:
        dying.setattr(target, _killed)
        with pytest.raises(Killed):
            while True:  # the first run merges, the second deletes
                Compaction(root, redis, most=4, grace_seconds=0).run_all()
    assert sorted(read_events(root)["event_id"]) == sorted(ids)
    Compaction(root, redis, most=4, grace_seconds=0).run_all()
    Compaction(root, redis, most=4, grace_seconds=0).run_all()
    assert Counter(row["event_id"] for row in lake_rows(root.parent, "events")) == Counter(ids)
    assert len(names(root)) == 1


def test_levels_keep_a_row_from_being_written_again_with_every_merge(root: Path, redis: Redis) -> None:
    for _ in range(4):
        filled(root, redis, 3)
        Compaction(root, redis, most=2, grace_seconds=0).run_all()
        Compaction(root, redis, most=2, grace_seconds=0).run_all()
    assert sorted(level_of(Path(name)) for name in names(root)) == [1, 2]
    assert len(read_events(root)) == 36


def test_whoever_merges_marks_so_that_recovery_need_not_read_merged_files(
    root: Path, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = filled(root, redis, 5)
    redis.delete(*redis.scan_iter("cascade:ledger:lake:*"))  # as if each process had died before its mark
    Compaction(root, redis, most=4, grace_seconds=0).run_all()
    Compaction(root, redis, most=4, grace_seconds=0).run_all()
    monkeypatch.setattr("services.ingest.lake.pq.read_table", _killed)
    Lake(root, redis).recover()
    assert not any(Ledger("lake").unknown(redis, [f"events:{key}" for key in ids]))


def test_the_newest_files_by_name_are_still_the_newest(root: Path, redis: Redis) -> None:
    filled(root, redis, 5)
    newest = names(root)[-1]
    Compaction(root, redis, most=4).run_all()
    filled(root, redis, 1)
    assert names(root)[-1] > newest
    assert [level_of(Path(name)) for name in names(root)][-1] == 0
    assert next(name for name in names(root) if level_of(Path(name)))[:13] == newest[:13]


def test_one_process_merges_at_a_time(root: Path, redis: Redis) -> None:
    filled(root, redis, 5)
    with (root / module.LOCK).open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert Compaction(root, redis, most=4).run_all().merges == 0
    assert Compaction(root, redis, most=4).run_all().merges == 3


def test_a_run_beside_ingest_makes_one_merge(root: Path, redis: Redis) -> None:
    filled(root, redis, 5)
    days = [root / kind / DAY for kind in ("events", "impressions", "catalog")]
    compaction = Compaction(root, redis, most=4)
    assert [compaction.run(days).merges for _ in range(4)] == [1, 1, 1, 0]


def rows_of(query: str) -> int:
    with duckdb.connect() as database:
        return len(database.execute(query).fetchall())


READS: list[Callable[[Path], int]] = [
    lambda root: rows_of(f"FROM read_parquet('{root}/events/**/*.parquet', hive_partitioning=false)"),
    lambda root: rows_of(f"SELECT date FROM read_parquet('{root}/events/*/*.parquet', hive_partitioning=true)") + 1,
    lambda root: len(pl.read_parquet(sorted((root / "events").rglob("*.parquet")), missing_columns="insert")),
]


@pytest.mark.parametrize("read", READS, ids=["duckdb", "duckdb by day", "polars"])
def test_other_engines_read_the_lake(read: Callable[[Path], int], root: Path, redis: Redis) -> None:
    filled(root, redis, 5)
    Compaction(root, redis, most=4, grace_seconds=0).run_all()
    Compaction(root, redis, most=4, grace_seconds=0).run_all()
    filled(root, redis, 2)
    pq.write_table(pq.read_table(root / "events" / DAY / names(root)[-1], partitioning=None).slice(0, 1),
                   root / "events" / "ml-1m.parquet")  # fmt: skip
    assert read(root) == 22
