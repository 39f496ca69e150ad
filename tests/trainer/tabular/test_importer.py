"""Files that nobody has seen before, in the lake."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from services.runtime.errors import SettingsError
from services.runtime.ids import to_int
from services.trainer.data.imports import import_data
from services.trainer.data.interactions import Interactions
from services.trainer.data.lake import read_events, read_snapshot
from services.trainer.data.tabular.importer import Imported, import_files
from services.trainer.data.tabular.request import ImportRequest
from services.trainer.data.tabular.scale import Scale
from tests.trainer.tabular.shop import HEADER, NOW, walks, write_csv

PLAIN = ("user", "item", "time")


def _import(folder: Path, rows: Sequence[Sequence[object]], header: Sequence[str] = PLAIN, **more: Any) -> Imported:
    """Imports a file log.csv into folder/data."""
    return import_files(ImportRequest(write_csv(folder / "log.csv", header, rows), **more), folder / "data", NOW)


def _lake(folder: Path, name: str) -> pl.DataFrame:
    return pl.read_parquet(folder / "data" / "lake" / f"{name}.parquet")


def test_a_log_alone_makes_a_lake_whose_ids_are_those_of_rest(tmp_path: Path) -> None:
    rows = walks(60, 40)
    found = _import(tmp_path, rows, HEADER)
    assert found.snapshot == read_snapshot(tmp_path / "data" / "lake")
    users, items = {row[0] for row in rows}, {row[1] for row in rows}
    assert (found.snapshot.users, found.snapshot.items, found.snapshot.events) == (60, len(items), len(set(rows)))
    assert dict(_lake(tmp_path, "users").select("external_id", "user_id").iter_rows()) == {u: to_int(u) for u in users}
    assert set(_lake(tmp_path, "items")["title"]) == {""}
    order = sorted(rows, key=lambda row: datetime.fromisoformat(row[2]))
    mine = [to_int(item) for user, item, _ in order if user == "c-0007@shop"]
    assert read_events(tmp_path / "data" / "lake").filter(user_id=to_int("c-0007@shop"))["item_id"].to_list() == mine


def test_the_newest_event_lies_at_the_import_and_distances_stay(tmp_path: Path) -> None:
    _import(tmp_path, [("a", "x", "2001-01-01"), ("a", "y", "2001-01-03")])
    times = read_events(tmp_path / "data" / "lake")["ts"].to_list()
    assert times == [NOW - timedelta(days=2), NOW]


def test_events_of_one_moment_keep_the_order_of_their_rows(tmp_path: Path) -> None:
    _import(tmp_path, [("a", f"i{place}", 1_700_000_000) for place in (3, 1, 2)])
    lake = tmp_path / "data" / "lake"
    assert Interactions.load(lake).item_ids.tolist() == [to_int("i3"), to_int("i1"), to_int("i2")]
    newest = read_events(lake)["ts"].max()
    assert isinstance(newest, datetime)
    assert newest <= NOW


def test_rows_in_their_order_need_no_times(tmp_path: Path) -> None:
    _import(tmp_path, [("a", "z"), ("a", "y")], ("user", "item"), columns={"time": "none"})
    assert Interactions.load(tmp_path / "data" / "lake").item_ids.tolist() == [to_int("z"), to_int("y")]


def test_numbers_beyond_63_bits_and_leading_zeros_are_ids_of_their_own(tmp_path: Path) -> None:
    ids = ["7", "007", str(2**63), str(2**64 + 7), "0"]
    _import(tmp_path, [(user, "1", place) for place, user in enumerate(ids)])
    users = dict(_lake(tmp_path, "users").select("external_id", "user_id").iter_rows())
    assert users == {user: to_int(user) for user in ids}
    assert users["7"] == 7
    assert len(set(users.values())) == len(ids)


def test_items_of_the_file_and_of_the_events_are_one_catalog(tmp_path: Path) -> None:
    items = write_csv(tmp_path / "items.csv", ("item", "title"), [("x", "Known"), ("idle", "Untouched")])
    found = _import(tmp_path, [("a", "x", 1), ("a", "stranger", 2)], items=items)
    catalog = _lake(tmp_path, "items")
    assert dict(catalog.select("external_id", "title").iter_rows()) == {
        "x": "Known",
        "idle": "Untouched",
        "stranger": "",
    }
    assert catalog["created_at"].to_list() == [NOW - timedelta(seconds=1), NOW - timedelta(seconds=1), NOW]
    assert found.notes == [
        "1 items have events and no row in items.csv: only their ids are known", "1 items of items.csv have no events",
    ]  # fmt: skip
    assert Interactions.load(tmp_path / "data" / "lake").item_ids.tolist() == [to_int("x"), to_int("stranger")]


def test_users_of_the_file_and_of_the_events_are_known(tmp_path: Path) -> None:
    users = write_csv(tmp_path / "people.csv", ("id", "gender", "plan"), [("a", "F", "gold"), ("new", "M", "free")])
    _import(tmp_path, [("a", "x", 1), ("b", "x", 2)], users=users, user_columns={"occupation": "plan"})
    people = {row["external_id"]: row for row in _lake(tmp_path, "users").iter_rows(named=True)}
    assert {name: (row["gender"], row["occupation"]) for name, row in people.items()} == {
        "a": ("F", "gold"), "new": ("M", "free"), "b": (None, None),
    }  # fmt: skip


def test_duplicates_are_dropped_and_told(tmp_path: Path) -> None:
    found = _import(tmp_path, [("a", "x", 1), ("a", "x", 1), ("a", "x", 2)])
    assert found.snapshot.events == 2
    assert found.notes == ["1 duplicates: the same user, item and time"]


def test_values_become_ratings_where_their_scale_is_told(tmp_path: Path) -> None:
    rows = [("a", "x", 1, "8"), ("a", "y", 2, ""), ("a", "z", 3, "1"), ("a", "w", 4, "11")]
    found = _import(tmp_path, rows, (*PLAIN, "rating"), scale=Scale.of("1..10", 8))
    assert read_events(tmp_path / "data" / "lake")["value"].to_list() == [4.0, None, 1.0]
    assert [(reject.line, reject.reason) for reject in found.rejects.kept] == [(5, "the value lies outside the scale")]
    assert found.reading["value"] == "1 to 10, liked from 8"


def test_values_that_nobody_explained_leave_no_lake(tmp_path: Path) -> None:
    rows = [("a", "x", 1, 8), ("a", "y", 2, 3)]
    with pytest.raises(SettingsError, match="values from 3 to 8"):
        _import(tmp_path, rows, (*PLAIN, "score"))
    assert [path.name for path in (tmp_path / "data").iterdir()] == []
    _import(tmp_path, rows, (*PLAIN, "score"), columns={"value": "none"})
    assert read_events(tmp_path / "data" / "lake")["value"].null_count() == 2


def test_malformed_rows_are_listed_with_line_and_reason_and_the_others_come_in(tmp_path: Path) -> None:
    rows = [("a", "x", 1), ("", "x", 2), ("a", "y", "soon"), ("a", "y"), ("a", "z", 3)]
    found = _import(tmp_path, rows)
    assert found.snapshot.events == 2
    listed = pl.read_csv(found.rejects_file)
    assert listed.select("file", "line", "reason").sort("line").rows() == [
        ("log.csv", 3, "the user is missing"),
        ("log.csv", 4, "the time is not a number of s since 1970"),
        ("log.csv", 5, "has 2 fields instead of 3"),
    ]


def test_a_file_that_is_mostly_malformed_is_refused_and_leaves_the_list(tmp_path: Path) -> None:
    rows = [("a", "x", place) for place in range(30)] + [("a", "", place) for place in range(30)]
    with pytest.raises(
        SettingsError, match=r"30 of 60 rows of .*log\.csv cannot be read.*listed in .*log\.rejects\.csv"
    ):
        _import(tmp_path, rows)
    assert not (tmp_path / "data" / "lake").exists()
    assert pl.read_csv(tmp_path / "data" / "imports" / "log.rejects.csv").height == 30
    assert _import(tmp_path, rows, max_malformed=0.5).snapshot.events == 30


def test_a_header_alone_is_nothing_to_import(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="holds no rows"):
        _import(tmp_path, [])


def test_the_same_files_again_change_nothing_and_other_ones_need_another_folder(tmp_path: Path) -> None:
    first = _import(tmp_path, [("a", "x", 1)])
    events = tmp_path / "data" / "lake" / "events" / "log.parquet"
    written = events.stat().st_mtime_ns
    again = _import(tmp_path, [("a", "x", 1)])
    assert (again.snapshot, events.stat().st_mtime_ns) == (first.snapshot, written)
    with pytest.raises(SettingsError, match="holds another log"):
        _import(tmp_path, [("a", "x", 2)])
    with pytest.raises(SettingsError, match="holds log, not shop"):
        _import(tmp_path, [("a", "x", 1)], name="shop")


def test_what_was_imported_is_a_data_set_by_its_name_and_the_one_that_is_there(tmp_path: Path) -> None:
    found = _import(tmp_path, [("a", "x", 1)], name="shop")
    assert import_data("shop", tmp_path / "data") == import_data("", tmp_path / "data") == found.snapshot
    with pytest.raises(SettingsError, match="holds shop, not ml-100k"):
        import_data("ml-100k", tmp_path / "data")


@pytest.mark.parametrize("name", ["ml-1m", "synthetic", "../up", "Two Words"])
def test_a_name_that_is_taken_or_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="cannot be the name"):
        _import(tmp_path, [("a", "x", 1)], name=name)


def test_parquet_comes_in_like_csv(tmp_path: Path) -> None:
    rows = [(7, "x", datetime(2024, 1, 1)), (7, "y", datetime(2024, 1, 2))]
    path = tmp_path / "log.parquet"
    pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row").write_parquet(path)
    import_files(ImportRequest(path), tmp_path / "data", NOW)
    assert Interactions.load(tmp_path / "data" / "lake").users["external_id"].to_list() == ["7"]
