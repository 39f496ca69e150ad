from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.items import ITEM_COLUMNS, ItemRows, ItemTable


def rows(ids: list[int], title: str = "title", year: float = 1990.0) -> ItemRows:
    features = np.full((len(ids), len(ITEM_COLUMNS)), np.nan, np.float32)
    features[:, 0] = year
    names = [str(number) for number in ids]
    titles = [f"{title} {name}" for name in names]
    return ItemRows(np.array(ids, np.uint64), names, titles, [("Drama",)] * len(ids), [()] * len(ids), features)


NONE = np.empty(0, np.uint64)


def test_unknown_items_keep_their_place() -> None:
    table = ItemTable(rows([30, 10, 20]))
    asked = np.array([20, 99, 10], np.uint64)
    assert table.rows_of(asked).tolist() == [1, -1, 0]
    gathered = table.gather(asked)
    assert gathered[:, 0].tolist()[0] == 1990.0
    assert np.isnan(gathered[1]).all()


def test_an_empty_table_knows_nothing() -> None:
    assert ItemTable(ItemRows.empty()).rows_of(np.array([1], np.uint64)).tolist() == [-1]


def test_an_id_that_comes_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        ItemTable(rows([1, 1]))


def test_new_counts_leave_the_old_table_as_it_was() -> None:
    before = ItemTable(rows([1, 2]))
    after = before.updated(rows([2], year=2000.0), NONE)
    assert before.column("year").tolist() == [1990.0, 1990.0]
    assert after.column("year").tolist() == [1990.0, 2000.0]
    assert after.version == before.version + 1


def test_a_new_title_is_taken_over() -> None:
    table = ItemTable(rows([1, 2])).updated(rows([2], title="other"), NONE)
    assert table.titles == ["title 1", "other 2"]


@given(st.sets(st.integers(1, 40)), st.sets(st.integers(1, 40)), st.sets(st.integers(1, 40)))
def test_an_update_is_what_a_dictionary_would_do(start: set[int], upserts: set[int], deleted: set[int]) -> None:
    expected = dict.fromkeys(start, "old") | dict.fromkeys(upserts, "new")
    for number in deleted:
        expected.pop(number, None)
    table = ItemTable(rows(sorted(start), title="old")).updated(
        rows(list(upserts), title="new"), np.array(sorted(deleted), np.uint64)
    )
    found = {int(number): title.split()[0] for number, title in zip(table.ids, table.titles, strict=True)}
    assert found == expected
    assert (np.diff(table.ids.astype(np.int64)) > 0).all()
