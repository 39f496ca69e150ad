"""What files tell of items and users, and what they leave out."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from services.runtime.ids import to_int
from services.trainer.data.tabular import attributes
from services.trainer.data.tabular.attributes import NO_ITEMS, NO_USERS, Attributes, read_items, read_users
from services.trainer.data.tabular.rejects import Rejects
from services.trainer.data.tabular.roles import ITEM_NAMES, USER_NAMES, assign
from services.trainer.data.tabular.table_files import open_table
from tests.trainer.tabular.shop import write_csv


def _items(path: Path, rejects: Rejects | None = None) -> Attributes:
    table = open_table(path, whole=True)
    return read_items(path, table, assign(path, table.columns, ITEM_NAMES, {}, {"item"}, {}), rejects or Rejects())


def _users(path: Path) -> Attributes:
    table = open_table(path, whole=True)
    return read_users(path, table, assign(path, table.columns, USER_NAMES, {}, {"user"}, {}), Rejects())


def test_a_row_becomes_an_item_under_the_id_that_rest_will_ask_for(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "items.csv",
        ("sku", "title", "release_date", "category", "brand"),
        [("a/1", " Two\nlines ", "1999-05-01", "Drama|War|Drama", "Woolf, Virginia"), ("007", "", "", "", "")],
    )
    found = _items(path)
    assert found.frame.schema == NO_ITEMS.schema
    assert found.frame.rows() == [
        (to_int("a/1"), "a/1", "Two lines", 1999, ["Drama", "War"], ["Woolf, Virginia"]),
        (to_int("007"), "007", "", None, [], []),
    ]


@pytest.mark.parametrize("written", ["Drama, War", "['Drama', 'War']", '["Drama","War"]', "Drama;War"])
def test_lists_may_be_written_in_several_ways(tmp_path: Path, written: str) -> None:
    path = write_csv(tmp_path / "items.csv", ("id", "genres"), [("1", written), ("2", "Drama")])
    assert _items(path).frame["genres"].to_list() == [["Drama", "War"], ["Drama"]]


def test_parquet_may_hold_lists_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "items.parquet"
    pl.DataFrame({"item_id": [5, 6], "genres": [["Drama", " "], None], "year": [1999.0, None]}).write_parquet(path)
    assert _items(path).frame.rows() == [(5, "5", "", 1999, ["Drama"], []), (6, "6", "", None, [], [])]


def test_a_file_of_ids_alone_is_a_catalog(tmp_path: Path) -> None:
    found = _items(write_csv(tmp_path / "items.csv", ("id",), [("x",), ("y",)]))
    assert found.frame.schema == NO_ITEMS.schema
    assert found.frame["external_id"].to_list() == ["x", "y"]


def test_of_rows_with_one_id_the_last_counts_and_rows_without_one_are_rejected(tmp_path: Path) -> None:
    rejects = Rejects()
    rows = [("x", "old"), ("", "nameless"), ("x", "new")]
    found = _items(write_csv(tmp_path / "items.csv", ("id", "title"), rows), rejects)
    assert (found.frame["title"].to_list(), found.rows, found.repeated) == (["new"], 2, 1)
    assert [(reject.line, reject.reason) for reject in rejects.kept] == [(3, "the item is missing")]


def test_of_too_many_genres_the_commonest_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "MOST_GENRES", 2)
    path = write_csv(tmp_path / "items.csv", ("id", "genres"), [("1", "a|b|c"), ("2", "b|c"), ("3", "b|d")])
    found = _items(path)
    assert found.frame["genres"].to_list() == [["b", "c"], ["b", "c"], ["b"]]
    assert found.dropped == {"genres": 2}


def test_ages_become_decades_and_other_attributes_stay(tmp_path: Path) -> None:
    rows = [("u1", "F", "34", "clerk", "Peru"), ("u2", "", "", "", "")]
    found = _users(write_csv(tmp_path / "users.csv", ("user_id", "sex", "age", "job", "country"), rows))
    assert found.frame.schema == NO_USERS.schema
    assert found.frame.rows() == [
        (to_int("u1"), "u1", "F", "30s", "clerk", "Peru"), (to_int("u2"), "u2", None, None, None, None),
    ]  # fmt: skip
    named = _users(write_csv(tmp_path / "groups.csv", ("user_id", "age"), [("u1", "25-34"), ("u2", "50")]))
    assert named.frame["age"].to_list() == ["25-34", "50"]


def test_of_too_many_categories_the_commonest_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(attributes.MOST_CATEGORIES, "region", 1)
    rows = [("u1", "north"), ("u2", "south"), ("u3", "south")]
    found = _users(write_csv(tmp_path / "users.csv", ("user_id", "region"), rows))
    assert found.frame["region"].to_list() == [None, "south", "south"]
    assert found.dropped["region"] == 1
