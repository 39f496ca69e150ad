"""What came into the lake since a moment, counted without reading rows twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.trainer.runs.arrivals import Arrivals
from services.trainer.schedule import microseconds

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TIMES = pa.schema([("ts", pa.timestamp("us", "UTC"))])


def write(lake: Path, name: str, *minutes: int) -> Path:
    times = [NOON + timedelta(minutes=minute) for minute in minutes]
    folder = lake / "impressions" / f"date={times[0]:%Y-%m-%d}"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pydict({"ts": times}, TIMES), folder / name)
    return folder / name


def after(minutes: int) -> int:
    return microseconds(NOON + timedelta(minutes=minutes))


def test_rows_after_a_moment_are_counted_whatever_files_they_lie_in(tmp_path: Path) -> None:
    write(tmp_path, "1.parquet", 0, 1, 2)
    write(tmp_path, "2.parquet", 3, 4)
    write(tmp_path, "3.parquet", 24 * 60, 24 * 60 + 1)
    arrivals = Arrivals(tmp_path)
    assert [arrivals.since("impressions", after(minute)) for minute in (-1, 0, 2, 3, 4, 24 * 60, 9999)] == [
        7, 6, 4, 3, 2, 1, 0,
    ]  # fmt: skip
    assert arrivals.newest("impressions", 0) == after(24 * 60 + 1)
    assert arrivals.since("events", 0) == 0
    assert arrivals.newest("events", 5) == 5


def test_files_that_come_and_go_are_noticed_and_drafts_are_not_files(tmp_path: Path) -> None:
    first = write(tmp_path, "1.parquet", 0, 1)
    arrivals = Arrivals(tmp_path)
    assert arrivals.since("impressions", 0) == 2
    write(tmp_path, "2.parquet", 0, 1, 5)
    write(tmp_path, ".3.parquet.draft", 9)
    write(tmp_path, ".4.parquet", 9)
    first.unlink()
    assert arrivals.since("impressions", 0) == 3


def test_a_file_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "1.parquet", 0, 1)
    arrivals = Arrivals(tmp_path)
    assert arrivals.since("impressions", after(-1)) == 2
    monkeypatch.setattr(pq, "read_metadata", None)
    assert arrivals.since("impressions", after(-1)) == 2
