"""Events between a file and the lake: duplicates, ties, order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runtime.ids import to_int
from services.trainer.data.tabular.events import TIE_US, EventDraft

Row = tuple[str, str, int, float | None]
SECOND = 1_000_000


@contextmanager
def _draft(scratch: Path, *blocks: list[Row]) -> Iterator[EventDraft]:
    schema = {"user": pl.String, "item": pl.String, "us": pl.Int64, "value": pl.Float64}
    draft, first = EventDraft(scratch), 2
    for rows in blocks:
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        draft.add(frame.with_columns(row=pl.int_range(first, first + len(rows), dtype=pl.Int64)))
        first += len(rows)
    draft.place()
    try:
        yield draft
    finally:
        draft.close()


def _written(draft: EventDraft, folder: Path, shift_us: int = 0) -> pl.DataFrame:
    draft.write(folder / "events.parquet", "shop", shift_us)
    return pl.read_parquet(folder / "events.parquet")


def test_events_have_the_lakes_layout_and_name_their_row(tmp_path: Path) -> None:
    with _draft(tmp_path, [("ann", "x", SECOND, None), ("bob", "y", 0, 4.0)]) as draft:
        events = _written(draft, tmp_path, 5 * SECOND)
    assert dict(events.schema) == {
        "event_id": pl.String, "type": pl.String, "user_id": pl.UInt64, "item_id": pl.UInt64,
        "ts": pl.Datetime("us", "UTC"), "value": pl.Float32, "session_id": pl.String,
        "recommendation_id": pl.String, "position": pl.Int32, "source": pl.String,
    }  # fmt: skip
    assert events["event_id"].to_list() == ["shop-3", "shop-2"]
    assert events["user_id"].to_list() == [to_int("bob"), to_int("ann")]
    assert events["ts"].dt.epoch("us").to_list() == [5 * SECOND, 6 * SECOND]
    assert events["value"].to_list() == [4.0, None]


def test_the_same_user_item_and_moment_is_one_event_with_the_last_value_there_is(tmp_path: Path) -> None:
    rows: list[Row] = [("ann", "x", 0, 1.0), ("ann", "y", 0, None), ("ann", "x", 0, 3.0)]
    with _draft(tmp_path, rows, [("ann", "x", 0, None), ("ann", "x", 1, None)]) as draft:
        assert (draft.rows, draft.kept) == (5, 3)
        events = _written(draft, tmp_path)
    assert events["event_id"].to_list() == ["shop-2", "shop-3", "shop-6"]
    assert events.filter(pl.col("event_id") == "shop-2")["value"].to_list() == [3.0]


def test_ties_are_a_millisecond_apart_and_never_reach_the_next_moment(tmp_path: Path) -> None:
    rows: list[Row] = [*(("ann", name, 0, None) for name in "abcd"), ("ann", "e", 2000, None), ("bob", "a", 0, None)]
    with _draft(tmp_path, rows) as draft:
        events = _written(draft, tmp_path).filter(pl.col("user_id") == to_int("ann"))
    assert events["ts"].dt.epoch("us").to_list() == [0, 500, 1000, 1500, 2000]
    wide = tmp_path / "wide"
    wide.mkdir()
    with _draft(wide, [("ann", name, 0, None) for name in "ab"]) as draft:
        assert _written(draft, tmp_path)["ts"].dt.epoch("us").to_list() == [0, TIE_US]


def test_everybody_and_everything_with_events_is_listed_with_the_first_of_them(tmp_path: Path) -> None:
    with _draft(tmp_path, [("ann", "x", 9, None)], [("ann", "x", 5, None), ("bob", "x", 7, None)]) as draft:
        users, items = draft.entities("user"), draft.entities("item")
    assert dict(users.select("external_id", "first_us").iter_rows()) == {"ann": 5, "bob": 7}
    assert items.rows() == [(to_int("x"), "x", 5)]


@settings(max_examples=12)
@given(
    st.lists(
        st.tuples(st.sampled_from(["ann", "bob"]), st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=40
    ),
    st.integers(1, 4),
)
def test_everybodys_events_keep_the_stable_order_of_time_and_row(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str, int, int]], blocks: int
) -> None:
    rows: list[Row] = [(user, f"i{item}", second * SECOND, None) for user, item, second in drawn]
    size = -(-len(rows) // blocks)
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    folder = tmp_path_factory.mktemp("order")
    with _draft(folder, *parts) as draft:
        events = _written(draft, folder)
    assert events["ts"].is_sorted()
    for user in ("ann", "bob"):
        stable = sorted(dict.fromkeys((us, item) for name, item, us, _ in rows if name == user), key=lambda key: key[0])
        mine = events.filter(pl.col("user_id") == to_int(user))
        assert mine["item_id"].to_list() == [to_int(item) for _, item in stable]
        assert mine["ts"].is_duplicated().any() is False
