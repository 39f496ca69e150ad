"""Messages of the log as Arrow tables, one row per event, per shown item and per catalog change; and back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa

from services.pb import events_pb2

_TIME = pa.timestamp("us", "UTC")

EVENTS = pa.schema([
    ("event_id", pa.string()), ("type", pa.string()), ("user_id", pa.uint64()), ("item_id", pa.uint64()),
    ("ts", _TIME), ("value", pa.float32()), ("session_id", pa.string()), ("recommendation_id", pa.string()),
    ("position", pa.int32()), ("source", pa.string()),
])  # fmt: skip
"""One row per event; source is "live"."""

IMPRESSIONS = pa.schema([
    ("recommendation_id", pa.string()), ("user_id", pa.uint64()), ("session_id", pa.string()),
    ("surface", pa.string()), ("ts", _TIME), ("position", pa.int32()), ("item_id", pa.uint64()),
    ("score", pa.float32()), ("propensity", pa.float32()), ("slot", pa.string()),
    ("features", pa.list_(pa.float32())), ("feature_columns", pa.list_(pa.string())),
    ("model_versions", pa.string()), ("experiments", pa.string()), ("served_by", pa.string()),
])  # fmt: skip
"""One row per shown item, position 1 at the top; `features` is parallel to `feature_columns`; versions are JSON."""

CATALOG = pa.schema([
    ("change_id", pa.string()), ("ts", _TIME), ("change", pa.string()), ("id", pa.uint64()),
    ("external_id", pa.string()), ("title", pa.string()), ("year", pa.int32()), ("genres", pa.list_(pa.string())),
    ("creators", pa.list_(pa.string())), ("created_at", _TIME), ("profile", pa.string()),
])  # fmt: skip
"""One row per change: put_item, delete_item, put_user or delete_user; profile is JSON."""


def events_table(events: Sequence[events_pb2.Event]) -> pa.Table:
    """(N events) rows of EVENTS."""
    columns = [
        [event.event_id for event in events],
        [event.type for event in events],
        [event.user_id for event in events],
        [event.item_id for event in events],
        [event.ts_us for event in events],
        [event.value if event.HasField("value") else None for event in events],
        [event.session_id or None for event in events],
        [event.recommendation_id or None for event in events],
        [event.position if event.HasField("position") else None for event in events],
        ["live"] * len(events),
    ]
    return _table(EVENTS, columns)


def impressions_table(impressions: Sequence[events_pb2.Impression]) -> pa.Table:
    """(shown items of all impressions) rows of IMPRESSIONS."""
    shown = [len(impression.item_ids) for impression in impressions]

    def repeated(values: Sequence[object]) -> list[object]:
        return [value for value, times in zip(values, shown, strict=True) for _ in range(times)]

    widths = [len(impression.feature_columns) for impression in impressions]
    offsets = np.concatenate([[0], np.cumsum(np.repeat(widths, shown))]).astype(np.int32)
    features = np.frombuffer(b"".join(impression.features for impression in impressions), "<f4")
    columns = [
        repeated([impression.recommendation_id for impression in impressions]),
        repeated([impression.user_id for impression in impressions]),
        repeated([impression.session_id or None for impression in impressions]),
        repeated([impression.surface or None for impression in impressions]),
        repeated([impression.ts_us for impression in impressions]),
        [position for times in shown for position in range(1, times + 1)],
        [item_id for impression in impressions for item_id in impression.item_ids],
        np.frombuffer(b"".join(impression.scores for impression in impressions), "<f4"),
        np.frombuffer(b"".join(impression.propensities for impression in impressions), "<f4"),
        [slot for impression in impressions for slot in impression.slots],
        pa.ListArray.from_arrays(offsets, features),
        repeated([list(impression.feature_columns) for impression in impressions]),
        repeated([_json(impression.model_versions) for impression in impressions]),
        repeated([_json(impression.experiments) for impression in impressions]),
        repeated([impression.served_by or None for impression in impressions]),
    ]
    return _table(IMPRESSIONS, columns)


def catalog_table(changes: Sequence[events_pb2.CatalogChange]) -> pa.Table:
    """(N changes) rows of CATALOG; null where a kind of change has nothing to say."""
    kinds = [change.WhichOneof("change") or "" for change in changes]
    items = [change.put_item if change.HasField("put_item") else None for change in changes]
    users = [change.put_user if change.HasField("put_user") else None for change in changes]
    columns = [
        [change.change_id for change in changes],
        [change.ts_us for change in changes],
        kinds,
        [entity_id(change) for change in changes],
        [item.item_id if item else user.user_id if user else None for item, user in zip(items, users, strict=True)],
        [item.title if item else None for item in items],
        [item.year if item and item.HasField("year") else None for item in items],
        [list(item.genres) if item else None for item in items],
        [list(item.creators) if item else None for item in items],
        [item.created_us or None if item else None for item in items],
        [_json(user.profile) if user else None for user in users],
    ]
    return _table(CATALOG, columns)


EVENT_COLUMNS = ("event_id", "type", "user_id", "item_id", "ts", "value")
"""What a fold needs of EVENTS."""


def events_of(table: pa.Table) -> list[events_pb2.Event]:
    """The reverse of events_table, as far as EVENT_COLUMNS go."""
    columns = [table[name].to_pylist() for name in EVENT_COLUMNS if name != "ts"]
    return [
        events_pb2.Event(event_id=key, type=kind, user_id=user, item_id=item, ts_us=ts_us, value=value)
        for key, kind, user, item, value, ts_us in zip(*columns, _microseconds(table["ts"]), strict=True)
    ]


def changes_of(table: pa.Table) -> list[events_pb2.CatalogChange]:
    """The reverse of catalog_table."""
    created = _microseconds(table["created_at"])
    rows = zip(table.to_pylist(), _microseconds(table["ts"]), created, strict=True)
    return [_change_of(row, ts_us, created_us or 0) for row, ts_us, created_us in rows]


def _change_of(row: Mapping[str, Any], ts_us: int, created_us: int) -> events_pb2.CatalogChange:
    change = events_pb2.CatalogChange(change_id=row["change_id"], ts_us=ts_us)
    if row["change"] == "put_item":
        change.put_item.id, change.put_item.item_id, change.put_item.title = row["id"], row["external_id"], row["title"]
        if row["year"] is not None:
            change.put_item.year = row["year"]
        change.put_item.genres.extend(row["genres"])
        change.put_item.creators.extend(row["creators"])
        change.put_item.created_us = created_us
    elif row["change"] == "put_user":
        change.put_user.id, change.put_user.user_id = row["id"], row["external_id"]
        change.put_user.profile.update(json.loads(row["profile"]))
    else:
        setattr(change, row["change"], row["id"])
    return change


def _microseconds(column: pa.ChunkedArray) -> list[int]:
    return cast(list[int], column.cast(_TIME).cast(pa.int64()).to_pylist())


def entity_id(change: events_pb2.CatalogChange) -> int:
    """The item or user a change is about."""
    if change.HasField("put_item"):
        return change.put_item.id
    if change.HasField("put_user"):
        return change.put_user.id
    return change.delete_item if change.HasField("delete_item") else change.delete_user


def _table(schema: pa.Schema, columns: Sequence[object]) -> pa.Table:
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, type=field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _json(mapping: object) -> str:
    return json.dumps(dict(mapping), sort_keys=True)  # type: ignore[call-overload]  # a protobuf map
