from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.features.packing import View, pack
from services.features.rows import Presence, unpack

VIEW = View(
    "things",
    "item_id",
    {
        "count": "INT64", "small": "INT32", "rate": "FLOAT", "exact": "DOUBLE", "flag": "BOOL", "title": "STRING",
        "names": "STRING_LIST", "ids": "INT64_LIST", "values": "FLOAT_LIST",
    },
    ttl_us=1000,
)  # fmt: skip

_float = st.floats(width=32, allow_nan=False)
_big = st.integers(-(2**63), 2**63 - 1)
_row = st.fixed_dictionaries(
    {
        "count": st.none() | _big,
        "small": st.none() | st.integers(-(2**31), 2**31 - 1),
        "rate": st.none() | _float,
        "exact": st.none() | st.floats(allow_nan=False),
        "flag": st.none() | st.booleans(),
        "title": st.none() | st.text(),
        "names": st.none() | st.lists(st.text(), max_size=4).map(tuple),
        "ids": st.none() | st.lists(_big, max_size=4),
        "values": st.none() | st.lists(_float, max_size=4),
    }
)


def _ids(*numbers: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    return np.array(numbers, np.uint64)


def _times(*numbers: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array(numbers, np.int64)


@given(st.lists(_row, max_size=5))
def test_what_is_packed_comes_back(rows: list[dict[str, Any]]) -> None:
    ids = np.arange(1, len(rows) + 1, dtype=np.uint64)
    columns = {name: [row[name] for row in rows] for name in VIEW.fields}
    blobs = pack(VIEW, ids, columns, np.arange(len(rows), dtype=np.int64))
    read = unpack(VIEW, ids, [blobs[key] for key in VIEW.keys(ids)])
    for name in VIEW.fields:
        got = [value.tolist() if isinstance(value, np.ndarray) else value for value in read.values(name)]
        assert got == columns[name]
    assert read.event_times_us().tolist() == list(range(len(rows)))


def test_numpy_columns_and_lists_pack_alike() -> None:
    lists = pack(VIEW, _ids(7, 8), {"rate": [0.5, 1.5], "ids": [[1], [2, 3]]}, _times(1, 2))
    arrays = pack(
        VIEW, _ids(7, 8), {"rate": np.array([0.5, 1.5]), "ids": [np.array([1]), np.array([2, 3])]}, _times(1, 2)
    )
    assert lists == arrays


def test_absent_entities_keep_their_place() -> None:
    blobs = pack(VIEW, _ids(2), {"count": [5]}, _times(9))
    read = unpack(VIEW, _ids(1, 2, 3), [None, *blobs.values(), None])
    assert read.values("count") == [None, 5, None]
    assert read.presence.tolist() == [Presence.ABSENT, Presence.PRESENT, Presence.ABSENT]
    assert np.isnan(read.numbers(["count", "rate"])).tolist() == [[True, True], [False, True], [True, True]]


def test_a_row_expires_after_its_ttl_and_not_before() -> None:
    blobs = list(pack(VIEW, _ids(1), {"count": [5]}, _times(10_000)).values())
    assert unpack(VIEW, _ids(1), blobs, now_us=11_000).presence.tolist() == [Presence.PRESENT]
    expired = unpack(VIEW, _ids(1), blobs, now_us=11_001)
    assert expired.presence.tolist() == [Presence.EXPIRED]
    assert expired.values("count") == [None]
    assert math.isnan(expired.numbers(["count"])[0, 0])
    assert expired.event_times_us().tolist() == [10_000]


def test_a_blob_of_another_schema_counts_as_absent() -> None:
    old = View("things", "item_id", {"count": "INT32"})
    blobs = list(pack(old, _ids(1), {"count": [5]}, _times(1)).values())
    assert unpack(VIEW, _ids(1), blobs).presence.tolist() == [Presence.ABSENT]


def test_a_column_of_no_field_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="things has no field colour"):
        pack(VIEW, _ids(1), {"colour": [1]}, _times(1))


def test_a_column_of_another_length_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"things\.count has 2 values for 1 entities"):
        pack(VIEW, _ids(1), {"count": [1, 2]}, _times(1))


def test_a_layout_survives_json() -> None:
    again = View.from_json(VIEW.to_json())
    assert again == VIEW
    assert again.hash == VIEW.hash


def test_keys_are_readable() -> None:
    assert VIEW.keys(_ids(260, 2**63 - 1)) == [b"cascade:things:260", b"cascade:things:9223372036854775807"]
