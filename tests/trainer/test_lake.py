"""The lake as imported: order, times, what is refused, what is left alone."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.errors import NotFound, SettingsError
from services.trainer.data.lake import fill, import_movielens, read_events, read_snapshot
from services.trainer.data.movielens import MovieLens, read_movielens
from services.trainer.data.sources import ML_1M, SOURCES
from tests.trainer.movielens_files import write_originals_1m

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
COLUMNS = ["event_id", "type", "user_id", "item_id", "ts", "value", "session_id", "recommendation_id", "position",
           "source"]  # fmt: skip


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two users, two movies, three ratings in GroupLens' layout: user 1 rated movie 2, then movie 1 in one second."""
    monkeypatch.setitem(SOURCES, "ml-1m", replace(ML_1M, users=2, items=2, ratings=3))
    write_originals_1m(tmp_path / "raw" / "ml-1m")
    return tmp_path / "raw"


def _data(ratings: list[tuple[int, int, float, int]]) -> MovieLens:
    """Those ratings, and the users and items they need."""
    schema = {"user_id": pl.UInt64, "item_id": pl.UInt64, "value": pl.Float32, "ts": pl.Int64}
    frame = pl.DataFrame(ratings, schema=schema, orient="row")
    items = frame.select("item_id").unique().sort("item_id")
    return MovieLens(
        frame.select("user_id").unique().sort("user_id").with_columns(gender=pl.lit("F")),
        items.with_columns(title=pl.lit("A"), year=pl.lit(1999, dtype=pl.Int32), genres=pl.lit(["Drama"])),
        frame,
    )


def test_ties_keep_file_order_and_are_a_millisecond_apart(raw: Path, tmp_path: Path) -> None:
    import_movielens("ml-1m", raw, tmp_path / "lake", NOW)
    events = read_events(tmp_path / "lake").filter(pl.col("user_id") == 1)
    assert events["item_id"].to_list() == [2, 1]
    assert events["ts"].to_list() == [NOW, NOW + timedelta(milliseconds=1)]


def test_ratings_become_watch_events_in_the_layout_of_the_lake(raw: Path, tmp_path: Path) -> None:
    import_movielens("ml-1m", raw, tmp_path / "lake", NOW)
    events = read_events(tmp_path / "lake")
    assert events.columns == COLUMNS
    assert events["type"].unique().to_list() == ["watch"]
    assert events["value"].to_list() == [4.0, 5.0, 3.0]
    assert events["event_id"].n_unique() == 3
    assert events.schema["ts"] == pl.Datetime("us", "UTC")
    assert events["ts"][0] == NOW - timedelta(seconds=10)


def test_items_are_created_at_their_first_event(raw: Path, tmp_path: Path) -> None:
    import_movielens("ml-1m", raw, tmp_path / "lake", NOW)
    items = pl.read_parquet(tmp_path / "lake" / "items.parquet")
    created = dict(items.select("external_id", "created_at").iter_rows())
    assert created == {"1": NOW + timedelta(milliseconds=1), "2": NOW - timedelta(seconds=10)}


def test_a_second_import_changes_nothing(raw: Path, tmp_path: Path) -> None:
    first = import_movielens("ml-1m", raw, tmp_path / "lake", NOW)
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "lake").rglob("*")}
    assert import_movielens("ml-1m", raw, tmp_path / "lake", NOW + timedelta(days=3)) == first
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "lake").rglob("*")} == files


def test_the_content_hash_is_that_of_the_data_not_of_the_moment(raw: Path, tmp_path: Path) -> None:
    one = import_movielens("ml-1m", raw, tmp_path / "one", NOW)
    two = import_movielens("ml-1m", raw, tmp_path / "two", NOW + timedelta(days=3))
    assert one.content_hash == two.content_hash
    assert two.shift_seconds - one.shift_seconds == 3 * 86_400
    data = read_movielens("ml-1m", raw / "ml-1m")
    changed = replace(data, ratings=data.ratings.with_columns(pl.lit(1.0, dtype=pl.Float32).alias("value")))
    assert fill(tmp_path / "three", "ml-1m", changed, NOW).content_hash != one.content_hash


def test_an_import_that_fails_leaves_no_lake(raw: Path, tmp_path: Path) -> None:
    data = read_movielens("ml-1m", raw / "ml-1m")
    with pytest.raises(pl.exceptions.PolarsError):
        fill(tmp_path / "home" / "lake", "ml-1m", replace(data, users=data.users.drop("user_id")), NOW)
    assert list((tmp_path / "home").iterdir()) == []


def test_a_lake_of_other_data_is_refused_by_name(raw: Path, tmp_path: Path) -> None:
    import_movielens("ml-1m", raw, tmp_path / "lake", NOW)
    with pytest.raises(SettingsError, match="holds ml-1m, not ml-100k"):
        import_movielens("ml-100k", raw, tmp_path / "lake", NOW)


def test_a_damaged_snapshot_is_refused_by_name(raw: Path, tmp_path: Path) -> None:
    import_movielens("ml-1m", raw, tmp_path / "lake", NOW)
    (tmp_path / "lake" / "snapshot.json").write_text('{"dataset": "ml-1m"')
    with pytest.raises(SettingsError, match=r"snapshot\.json is damaged"):
        import_movielens("ml-1m", raw, tmp_path / "lake", NOW)


def test_data_without_a_rating_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="has no ratings"):
        fill(tmp_path / "lake", "ml-1m", _data([]), NOW)


def test_an_empty_place_says_how_to_fill_it(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="holds no data yet. Import some with"):
        read_snapshot(tmp_path)
    with pytest.raises(NotFound, match="holds no events"):
        read_events(tmp_path)


def test_live_events_are_read_with_the_imported_ones_in_the_order_of_time(raw: Path, tmp_path: Path) -> None:
    import_movielens("ml-1m", raw, tmp_path / "lake", NOW)
    imported = read_events(tmp_path / "lake")
    live = imported.head(1).with_columns(event_id=pl.lit("live"), ts=pl.col("ts") + timedelta(seconds=5))
    (tmp_path / "lake" / "events" / "date=2026-03-01").mkdir()
    live.write_parquet(tmp_path / "lake" / "events" / "date=2026-03-01" / "a.parquet")
    together = read_events(tmp_path / "lake")
    assert together["event_id"][1] == "live"
    assert together["ts"].is_sorted()
    assert together.height == 4


def test_the_snapshot_tells_what_was_imported(raw: Path, tmp_path: Path) -> None:
    snapshot = import_movielens("ml-1m", raw, tmp_path / "lake", NOW)
    told = json.loads((tmp_path / "lake" / "snapshot.json").read_text())
    assert (told["dataset"], told["users"], told["items"], told["events"]) == ("ml-1m", 2, 2, 3)
    assert told["shift_seconds"] == snapshot.shift_seconds == int(NOW.timestamp()) - 100


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 30), st.integers(0, 5)), min_size=1, max_size=80))
def test_every_user_has_strictly_increasing_times_in_the_stable_order(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int, int]]
) -> None:
    ratings = [(user, item, 3.0, second) for user, item, second in rows]
    lake = tmp_path_factory.mktemp("tied") / "lake"
    fill(lake, "ml-1m", _data(ratings), NOW)
    events = read_events(lake)
    for user in {user for user, _, _, _ in ratings}:
        mine = events.filter(pl.col("user_id") == user)
        stable = sorted((row for row in ratings if row[0] == user), key=lambda row: row[3])
        assert mine["item_id"].to_list() == [item for _, item, _, _ in stable]
        assert mine["ts"].is_sorted()
        assert mine["ts"].is_unique().all()
    newest = events["ts"].max()
    assert isinstance(newest, datetime)
    assert newest.replace(microsecond=0) == NOW
