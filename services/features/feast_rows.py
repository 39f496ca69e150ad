"""Feast's rows, one protobuf message per value, from and to the columns of blobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from feast import FeatureView, utils
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import (
    DoubleList,
    FloatList,
    Int32List,
    Int64List,
    StringList,
    Value,
)
from numpy.typing import NDArray

from services.features import packing
from services.features.packing import View
from services.features.rows import Presence, Rows

Written = tuple[EntityKey, dict[str, Value], datetime, datetime | None]
"""A row to write: key, features, event time, creation time."""
Read = tuple[datetime | None, dict[str, Value] | None]
"""A row read: event time and features, both None when there is no row."""

_FIELDS = {
    "INT32": "int32_val", "INT64": "int64_val", "FLOAT": "float_val", "DOUBLE": "double_val", "BOOL": "bool_val",
    "UNIX_TIMESTAMP": "unix_timestamp_val", "STRING": "string_val", "STRING_LIST": "string_list_val",
    "INT32_LIST": "int32_list_val", "INT64_LIST": "int64_list_val", "FLOAT_LIST": "float_list_val",
    "DOUBLE_LIST": "double_list_val",
}  # fmt: skip
_LISTS: dict[str, Any] = {
    "STRING_LIST": StringList, "INT32_LIST": Int32List, "INT64_LIST": Int64List, "FLOAT_LIST": FloatList,
    "DOUBLE_LIST": DoubleList,
}  # fmt: skip


def view_of(view: FeatureView, project: str = "cascade") -> View:
    """The layout of a Feast view. ValueError for a value type the blobs do not hold, or for a composite key."""
    if len(view.join_keys) != 1:
        raise ValueError(f"The packed store holds views of one entity; {view.name} has {view.join_keys}.")
    # By name: Feast does not promise an order, and the order is part of the layout.
    ordered = sorted(view.features, key=lambda field: field.name)
    fields = {field.name: field.dtype.to_value_type().name for field in ordered}
    for name, kind in fields.items():
        if kind not in _FIELDS:
            raise ValueError(f"The packed store does not hold {kind}, the type of {view.name}.{name}.")
    ttl_us = int(view.ttl.total_seconds() * 1_000_000) if view.ttl else 0
    return View(view.name, view.join_keys[0], fields, ttl_us, view.tags.get("indexed") == "yes", project)


def ids_of(entity_keys: Sequence[EntityKey]) -> NDArray[np.uint64]:
    """(N,) ids of Feast's keys."""
    return np.fromiter((key.entity_values[0].int64_val for key in entity_keys), np.uint64, len(entity_keys))


def merged(view: View, rows: Sequence[Written], stored: Rows) -> dict[bytes, bytes]:
    """Redis key -> blob of the entities whose stored row the new rows change, older rows do nothing.

    A feature that a row does not carry keeps its stored value.
    """
    ids = stored.ids
    at = {number: row for row, number in enumerate(ids.tolist())}
    times, created = stored.event_times_us(), stored.created_us()
    columns = {name: stored.values(name) for name in view.fields}
    changed = np.zeros(len(ids), np.bool_)
    for key, values, event_time, created_time in rows:
        row, time_us = at[key.entity_values[0].int64_val], _micros(event_time)
        if (changed[row] or stored.presence[row] == Presence.PRESENT) and time_us <= times[row]:
            continue
        times[row] = time_us
        created[row] = _micros(created_time) if created_time else time_us
        changed[row] = True
        for name, value in values.items():
            columns[name][row] = _from_value(value)
    keep = np.flatnonzero(changed)
    kept = {name: [values[row] for row in keep.tolist()] for name, values in columns.items()}
    return packing.pack(view, ids[keep], kept, times[keep], created[keep]) if len(keep) else {}


def _micros(moment: datetime) -> int:
    aware = utils.make_tzaware(moment)
    seconds = int(aware.replace(microsecond=0).timestamp())
    return seconds * 1_000_000 + int(aware.microsecond)


def _from_value(value: Value) -> Any:
    kind = value.WhichOneof("val")
    if kind is None or kind == "null_val":
        return None
    content = getattr(value, kind)
    return list(content.val) if kind.endswith("_list_val") else content


def to_feast(rows: Rows, names: Sequence[str]) -> list[Read]:
    """The rows as Feast's online read answers them."""
    columns = [[_to_value(rows.view.fields[name], value) for value in rows.values(name)] for name in names]
    times = rows.event_times_us().tolist()
    read: list[Read] = []
    for row, time_us in enumerate(times):
        if rows.presence[row] == Presence.ABSENT:
            read.append((None, None))
        else:
            moment = datetime.fromtimestamp(time_us // 1_000_000, UTC).replace(microsecond=time_us % 1_000_000)
            read.append((moment, {name: column[row] for name, column in zip(names, columns, strict=True)}))
    return read


def _to_value(kind: str, value: Any) -> Value:
    if value is None:
        return Value()
    if kind in _LISTS:
        items = value.tolist() if isinstance(value, np.ndarray) else value
        return _value(_FIELDS[kind], _LISTS[kind](val=items))
    return _value(_FIELDS[kind], bool(value) if kind == "BOOL" else value)


def _value(field: str, content: Any) -> Value:
    only: dict[str, Any] = {field: content}
    return Value(**only)
