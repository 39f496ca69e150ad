"""What a change of the catalog does to the profile views: rows to put and keys to delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from services.features.packing import View, pack
from services.ingest.activity import DAY_US
from services.pb import events_pb2

USER_ATTRIBUTES = ("gender", "age", "occupation", "region")
"""Keys of a user's profile that the views hold; others are kept in the lake only."""
USER_VIEWS = ("user_profile", "user_activity", "user_history", "user_exclusions")
ITEM_VIEWS = ("item_profile", "item_activity")


@dataclass(slots=True)
class ProfileWrites:
    """What to do in Redis, deletions first."""

    blobs: dict[bytes, bytes] = field(default_factory=dict)
    """Redis key -> row."""
    deleted_keys: list[bytes] = field(default_factory=list)
    listed: list[int] = field(default_factory=list)
    """Items that are in the catalog from now on."""
    unlisted: list[int] = field(default_factory=list)
    """Items that no longer are."""
    deleted_us: dict[str, dict[int, int]] = field(default_factory=dict)
    """Join key -> entities whose past is forgotten, and up to when, microseconds since 1970."""


def profile_writes(
    changes: Sequence[events_pb2.CatalogChange], views: Mapping[str, View], created_days: Mapping[int, float]
) -> ProfileWrites:
    """The writes of changes in the order of the log; the last one of an entity counts.

    `created_days` tells when known items were created (days since 1970): a put that does not say keeps that.
    """
    writes = ProfileWrites()
    writes.deleted_us = {f"{kind}_id": _deletions(changes, kind) for kind in ("item", "user")}
    items, users = _latest(changes, "item"), _latest(changes, "user")
    put_items = {number: change for number, change in items.items() if change.HasField("put_item")}
    put_users = {number: change for number, change in users.items() if change.HasField("put_user")}
    writes.blobs |= _item_rows(put_items, views["item_profile"], _creations(changes, created_days))
    writes.blobs |= _user_rows(put_users, views["user_profile"])
    writes.listed = list(put_items)
    writes.unlisted = [number for number in items if number not in put_items]
    for names, key in ((ITEM_VIEWS, "item_id"), (USER_VIEWS, "user_id")):
        for name in names:
            # Of what is put again in the same batch too: the put writes its profile after this.
            writes.deleted_keys += views[name].keys(np.array(list(writes.deleted_us[key]), np.uint64))
    return writes


def undated_items(changes: Sequence[events_pb2.CatalogChange]) -> list[int]:
    """Ids of items put without saying when they were created."""
    return sorted(
        {change.put_item.id for change in changes if change.HasField("put_item") and not change.put_item.created_us}
    )


def _latest(changes: Sequence[events_pb2.CatalogChange], kind: str) -> dict[int, events_pb2.CatalogChange]:
    latest: dict[int, events_pb2.CatalogChange] = {}
    for change in changes:
        if change.HasField(f"put_{kind}"):  # type: ignore[arg-type]  # the stub wants a literal
            latest[getattr(change, f"put_{kind}").id] = change
        elif change.HasField(f"delete_{kind}"):  # type: ignore[arg-type]  # the stub wants a literal
            latest[getattr(change, f"delete_{kind}")] = change
    return latest


def _deletions(changes: Sequence[events_pb2.CatalogChange], kind: str) -> dict[int, int]:
    times: dict[int, int] = {}
    for change in changes:
        if change.HasField(f"delete_{kind}"):  # type: ignore[arg-type]  # the stub wants a literal
            number = getattr(change, f"delete_{kind}")
            times[number] = max(change.ts_us, times.get(number, 0))
    return times


def _creations(changes: Sequence[events_pb2.CatalogChange], created_days: Mapping[int, float]) -> dict[int, float]:
    """When each item put was created: as the put says, else as before, else at the put; a deletion begins anew."""
    created = dict(created_days)
    for change in changes:
        if change.HasField("delete_item"):
            created.pop(change.delete_item, None)
        elif change.HasField("put_item"):
            item = change.put_item
            if item.created_us:
                created[item.id] = item.created_us / DAY_US
            created.setdefault(item.id, change.ts_us / DAY_US)
    return created


def _item_rows(
    changes: Mapping[int, events_pb2.CatalogChange], view: View, created_days: Mapping[int, float]
) -> dict[bytes, bytes]:
    items = [change.put_item for change in changes.values()]
    times = [change.ts_us for change in changes.values()]
    columns: dict[str, Sequence[Any]] = {
        "external_id": [item.item_id or str(item.id) for item in items],
        "title": [item.title for item in items],
        "year": [item.year if item.HasField("year") else None for item in items],
        "genres": [tuple(item.genres) for item in items],
        "creators": [tuple(item.creators) for item in items],
        "created_days": [created_days[item.id] for item in items],
    }
    return pack(view, np.array(list(changes), np.uint64), columns, np.array(times, np.int64))


def _user_rows(changes: Mapping[int, events_pb2.CatalogChange], view: View) -> dict[bytes, bytes]:
    users = [change.put_user for change in changes.values()]
    columns: dict[str, Sequence[Any]] = {name: [user.profile.get(name) for user in users] for name in USER_ATTRIBUTES}
    columns["external_id"] = [user.user_id or str(user.id) for user in users]
    times = [change.ts_us for change in changes.values()]
    return pack(view, np.array(list(changes), np.uint64), columns, np.array(times, np.int64))
