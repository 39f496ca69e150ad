"""The files of the lake."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis

from services.ingest.activity import DAY_US
from services.ingest.lake import Lake
from services.ingest.ledger import Ledger
from services.ingest.records import Batch
from services.pb import events_pb2
from tests.ingest.log import change, event, impression, lake_rows


@pytest.fixture
def lake(tmp_path: Path, redis: Redis) -> Lake:
    return Lake(tmp_path / "lake", redis)


def test_an_event_becomes_the_row_that_training_reads(lake: Lake, tmp_path: Path) -> None:
    sent = event(7, 9, "watch", value=4.5, position=2, recommendation_id="r-1", ts_us=3 * DAY_US + 5)
    lake.add(Batch(events=[sent, event(7, 9, ts_us=3 * DAY_US)]))
    assert lake.flush() == 2
    full, bare = lake_rows(tmp_path, "events")
    assert full == {
        "event_id": sent.event_id, "type": "watch", "user_id": 7, "item_id": 9,
        "ts": datetime(1970, 1, 4, 0, 0, 0, 5, UTC), "value": 4.5, "session_id": None, "recommendation_id": "r-1",
        "position": 2, "source": "live",
    }  # fmt: skip
    assert (bare["value"], bare["position"]) == (None, None)


def test_each_day_has_its_folder(lake: Lake, tmp_path: Path) -> None:
    lake.add(Batch(events=[event(ts_us=3 * DAY_US), event(ts_us=4 * DAY_US - 1), event(ts_us=4 * DAY_US)]))
    lake.flush()
    folders = sorted(path.name for path in (tmp_path / "lake" / "events").iterdir())
    assert folders == ["date=1970-01-04", "date=1970-01-05"]


def test_an_impression_becomes_a_row_for_each_shown_item(lake: Lake, tmp_path: Path) -> None:
    lake.add(Batch(impressions=[impression("r-1", [11, 12]), impression("r-2", [13], ["a", "b", "c"])]))
    lake.flush()
    found = lake_rows(tmp_path, "impressions")
    assert [(row["recommendation_id"], row["position"], row["item_id"]) for row in found] == [
        ("r-1", 1, 11), ("r-1", 2, 12), ("r-2", 1, 13)
    ]  # fmt: skip
    assert [row["features"] for row in found] == [[0.0, 1.0], [10.0, 11.0], [0.0, 1.0, 2.0]]
    assert found[2]["feature_columns"] == ["a", "b", "c"]
    assert [round(row["propensity"], 3) for row in found] == [1.0, 0.5, 1.0]
    assert found[0]["model_versions"] == '{"ranker": "3"}'


def test_an_impression_without_features_is_kept(lake: Lake, tmp_path: Path) -> None:
    lake.add(Batch(impressions=[impression("r-1", [11, 12], [])]))
    lake.flush()
    assert [row["features"] for row in lake_rows(tmp_path, "impressions")] == [[], []]


def test_catalog_changes_are_history_too(lake: Lake, tmp_path: Path) -> None:
    put = change(put_item=events_pb2.ItemRecord(id=5, item_id="heat", title="Heat", genres=["Crime"]))
    who = change(put_user=events_pb2.UserRecord(id=7, user_id="ann", profile={"shoe": "41"}))
    lake.add(Batch(changes=[put, who, change(delete_item=6)]))
    lake.flush()
    found = lake_rows(tmp_path, "catalog")
    assert [(row["change"], row["id"], row["external_id"]) for row in found] == [
        ("put_item", 5, "heat"), ("put_user", 7, "ann"), ("delete_item", 6, None)
    ]  # fmt: skip
    assert (found[0]["genres"], found[0]["year"], found[1]["profile"]) == (["Crime"], None, '{"shoe": "41"}')


def test_a_record_delivered_again_is_not_written_again(lake: Lake, tmp_path: Path, redis: Redis) -> None:
    sent = event()
    lake.add(Batch(events=[sent, sent]))
    lake.flush()
    again = Lake(tmp_path / "lake", redis)
    again.add(Batch(events=[sent]))
    assert again.flush() == 0
    assert len(lake_rows(tmp_path, "events")) == 1


def test_a_crash_between_the_file_and_the_mark_doubles_nothing(
    lake: Lake, tmp_path: Path, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, rest = event(), event()
    with monkeypatch.context() as crashing:
        crashing.setattr(Ledger, "mark", _crash)
        lake.add(Batch(events=[sent]))
        with pytest.raises(KeyboardInterrupt):
            lake.flush()
    restarted = Lake(tmp_path / "lake", redis)
    restarted.recover()
    restarted.add(Batch(events=[sent, rest]))
    assert restarted.flush() == 1
    assert sorted(row["event_id"] for row in lake_rows(tmp_path, "events")) == sorted([sent.event_id, rest.event_id])


def _crash(_ledger: Ledger, _redis: Redis, keys: list[str]) -> None:
    if keys:
        raise KeyboardInterrupt


def test_a_failed_mark_is_made_good_by_the_next_flush(
    lake: Lake, tmp_path: Path, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = event()
    lake.add(Batch(events=[sent]))
    with monkeypatch.context() as away:
        away.setattr(Ledger, "mark", _away)
        with pytest.raises(ConnectionError):
            lake.flush()
    lake.flush()
    assert len(lake_rows(tmp_path, "events")) == 1
    assert Ledger("lake").unknown(redis, [f"events:{sent.event_id}"]) == [False]


def _away(_ledger: Ledger, _redis: Redis, keys: list[str]) -> None:
    if keys:
        raise ConnectionError


def test_a_lake_that_cannot_be_written_keeps_the_records_and_leaves_no_half_file(lake: Lake, tmp_path: Path) -> None:
    blocked = tmp_path / "lake"
    blocked.write_text("a file where the folder belongs")
    lake.add(Batch(events=[event()]))
    with pytest.raises(OSError, match="lake"):
        lake.flush()
    assert lake.rows == 1
    blocked.unlink()
    assert lake.flush() == 1
    assert not list(tmp_path.rglob("*.draft"))


def test_a_disk_that_fills_up_while_writing_leaves_nothing_half_written(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.add(Batch(events=[event()]))
    with monkeypatch.context() as full:
        full.setattr("services.ingest.files.os.fsync", _no_space)
        with pytest.raises(OSError, match="No space"):
            lake.flush()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert lake.flush() == 1


def _no_space(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_what_waits_is_weighed(lake: Lake) -> None:
    sent, shown = event(), impression("r-1", list(range(1, 101)), [f"f{number}" for number in range(50)])
    lake.add(Batch(events=[sent, sent], impressions=[shown]))
    assert lake.bytes == sent.ByteSize() + shown.ByteSize(), "a duplicate weighs nothing"
    lake.flush()
    assert lake.bytes == 0
