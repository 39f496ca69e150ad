"""The online store as ingest writes it: read, fold and write in one transaction that also marks the events as done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from redis import Redis, WatchError

from services.features.packing import VIEWS_KEY, View, pack
from services.features.rows import Rows, unpack
from services.ingest import activity
from services.ingest.activity import ItemActivity, UserActivity
from services.ingest.deleted import deleted_key, deletions, mark_deleted
from services.ingest.ledger import Ledger
from services.ingest.profiles import profile_writes, undated_items
from services.ingest.states import Columns, item_columns, item_states, user_columns, user_states
from services.pb import events_pb2
from services.runtime.errors import Unavailable

USER_VIEWS = ("user_activity", "user_history", "user_exclusions")
VIEWS = ("user_profile", *USER_VIEWS, "item_profile", "item_activity")
ATTEMPTS = 20
"""Times a transaction is tried when another writer touches the same entities meanwhile."""


def load_views(redis: Redis) -> dict[str, View]:
    """The layouts that the applied feature definitions left in Redis; Unavailable while they are not there."""
    stored = cast(dict[bytes, bytes], redis.hgetall(VIEWS_KEY))
    views = {view.name: view for view in map(View.from_json, stored.values())}
    if absent := set(VIEWS) - set(views):
        raise Unavailable(
            f"Redis has no definition of {', '.join(sorted(absent))}; apply the feature definitions first."
        )
    return views


class OnlineWriter:
    """Folds events into activity and writes profiles, each record once.

    Every method may raise a RedisError; nothing is written then, and the same records may be given again.
    """

    def __init__(self, redis: Redis, views: Mapping[str, View]) -> None:
        self._redis = redis
        self._views = views
        self._ledger = Ledger("features")

    def write(
        self, events: Sequence[events_pb2.Event], changes: Sequence[events_pb2.CatalogChange], once: bool = True
    ) -> list[events_pb2.Event]:
        """Applies what was not applied before, all of it or nothing; returns the events that were new.

        `once=False` is for history that the log never delivers: it is applied as it comes, and not remembered.
        """
        for _ in range(ATTEMPTS):
            with self._redis.pipeline() as transaction:
                try:
                    return self._attempt(transaction, events, changes, once)
                except WatchError:
                    continue
        raise Unavailable(f"Other writers touched the same entities {ATTEMPTS} times; run one ingest per partition.")

    def _attempt(
        self,
        transaction: Any,
        events: Sequence[events_pb2.Event],
        changes: Sequence[events_pb2.CatalogChange],
        once: bool,
    ) -> list[events_pb2.Event]:
        users, items = _ids(event.user_id for event in events), _ids(event.item_id for event in events)
        keys = [key for name in USER_VIEWS for key in self._views[name].keys(users)]
        keys += self._views["item_activity"].keys(items)
        if keys:
            # Watched before the ledger is asked: whoever applies one of these events also writes one of these keys.
            transaction.watch(*keys, *map(deleted_key, ("user_id", "item_id")))
        new_events = self._new(events, "event:", "event_id") if once else list(events)
        new_changes = self._new(changes, "change:", "change_id") if once else list(changes)
        if not new_events and not new_changes:
            return []
        transaction.multi()
        # A deletion comes first: of the events beside it, it forgets those before it and no other.
        gone = self._queue_profiles(transaction, new_changes)
        self._queue_activity(transaction, new_events, gone)
        if once:
            self._ledger.mark(transaction, [f"event:{event.event_id}" for event in new_events])
            self._ledger.mark(transaction, [f"change:{change.change_id}" for change in new_changes])
        transaction.execute()
        return new_events

    def _new(self, records: Sequence[Any], prefix: str, name: str) -> list[Any]:
        """Records that were not applied yet, each key once."""
        once: dict[str, Any] = {}
        for record in records:
            once.setdefault(f"{prefix}{getattr(record, name)}", record)
        unknown = self._ledger.unknown(self._redis, list(once))
        return [record for record, new in zip(once.values(), unknown, strict=True) if new]

    def _queue_activity(
        self, transaction: Any, events: Sequence[events_pb2.Event], gone: Mapping[str, Mapping[int, int]]
    ) -> None:
        if not events:
            return
        users, items = _ids(event.user_id for event in events), _ids(event.item_id for event in events)
        user_by_id = dict(zip(users.tolist(), user_states(self._read(USER_VIEWS, users)), strict=True))
        item_rows = self._read(("item_activity",), items)["item_activity"]
        item_by_id = dict(zip(items.tolist(), item_states(item_rows), strict=True))
        user_by_id |= {number: UserActivity() for number in gone.get("user_id", ()) if number in user_by_id}
        item_by_id |= {number: ItemActivity() for number in gone.get("item_id", ()) if number in item_by_id}
        _fold(events, user_by_id, self._deleted("user_id", user_by_id, gone), lambda event: event.user_id)
        _fold(events, item_by_id, self._deleted("item_id", item_by_id, gone), lambda event: event.item_id)
        self._queue_rows(transaction, user_by_id, user_columns)
        self._queue_rows(transaction, item_by_id, item_columns)

    def _deleted(self, key: str, ids: Iterable[int], gone: Mapping[str, Mapping[int, int]]) -> dict[int, int]:
        return {**deletions(self._redis, key, ids), **gone.get(key, {})}

    def _queue_rows(
        self,
        transaction: Any,
        states: Mapping[int, activity.State],
        columns_of: Callable[[Sequence[activity.State]], Mapping[str, Columns]],
    ) -> None:
        # An entity whose every event came before its deletion has no row.
        known = {number: state for number, state in states.items() if state.updated_us}
        if not known:
            return
        ids, times = _ids(known), np.array([state.updated_us for state in known.values()], np.int64)
        for name, columns in columns_of(list(known.values())).items():
            transaction.mset(pack(self._views[name], ids, columns, times))

    def _queue_profiles(
        self, transaction: Any, changes: Sequence[events_pb2.CatalogChange]
    ) -> Mapping[str, Mapping[int, int]]:
        """Returns what is deleted: join key -> entity -> when."""
        if not changes:
            return {}
        writes = profile_writes(changes, self._views, self._created_days(undated_items(changes)))
        index = self._views["item_profile"].index
        if writes.deleted_keys:
            transaction.delete(*writes.deleted_keys)
        if writes.blobs:
            transaction.mset(writes.blobs)
        if writes.listed:
            transaction.sadd(index, *writes.listed)
        if writes.unlisted:
            transaction.srem(index, *writes.unlisted)
        for key, times_us in writes.deleted_us.items():
            mark_deleted(transaction, key, times_us)
        return writes.deleted_us

    def _created_days(self, items: Sequence[int]) -> dict[int, float]:
        rows = self._read(("item_profile",), np.array(items, np.uint64))["item_profile"]
        stored = zip(items, rows.values("created_days"), strict=True)
        return {number: days for number, days in stored if days is not None}

    def _read(self, names: Sequence[str], ids: NDArray[np.uint64]) -> dict[str, Rows]:
        keys = [key for name in names for key in self._views[name].keys(ids)]
        blobs = cast(list[bytes | None], self._redis.mget(keys)) if keys else []
        size = len(ids)
        return {
            name: unpack(self._views[name], ids, blobs[at * size : (at + 1) * size]) for at, name in enumerate(names)
        }


def _fold(
    events: Sequence[events_pb2.Event],
    states: dict[int, activity.State],
    deleted_us: Mapping[int, int],
    entity: Callable[[events_pb2.Event], int],
) -> None:
    """Applies each event to its entity's state, unless the entity was deleted after it."""
    for message in events:
        number = entity(message)
        if message.ts_us <= deleted_us.get(number, 0):
            continue
        value = message.value if message.HasField("value") else None
        event = activity.Event(message.type, message.user_id, message.item_id, message.ts_us, value)
        states[number] = activity.apply(states[number], event)


def _ids(numbers: Iterable[int]) -> NDArray[np.uint64]:
    return np.array(sorted(set(numbers)), np.uint64)
