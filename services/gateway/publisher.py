"""Changes of the catalog, acknowledged by the event log before the caller is told."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime

from services.gateway.catalog import Catalog, Item
from services.gateway.spelling import microseconds
from services.pb import events_pb2
from services.runtime.eventlog import CATALOG, EventLog, Record
from services.runtime.ids import to_int


class CatalogPublisher:
    """Puts and deletes items and users; from then on the gateway itself honours it."""

    def __init__(self, producer: EventLog, catalog: Catalog, timeout: float) -> None:
        self._producer, self._catalog, self._timeout = producer, catalog, timeout

    async def put_item(self, item: Item) -> None:
        """Adds or replaces an item."""
        await self.apply([item])

    async def delete_item(self, number: int) -> None:
        """Takes an item out for good."""
        await self.apply([number])

    async def apply(self, changes: Sequence[Item | int]) -> None:
        """Puts items and deletes those told by their number, in this order, acknowledged together."""
        records = [
            (change, events_pb2.CatalogChange(delete_item=change))
            if isinstance(change, int)
            else (to_int(change.item_id), events_pb2.CatalogChange(put_item=_record(change)))
            for change in changes
        ]
        await self._append(*records)
        for change in changes:
            if isinstance(change, int):
                self._catalog.delete(change)
            else:
                self._catalog.put(to_int(change.item_id), change)

    async def put_user(self, user_id: str, profile: Mapping[str, str]) -> None:
        """Adds a user or replaces the profile."""
        record = events_pb2.UserRecord(id=to_int(user_id), user_id=user_id, profile=profile)
        await self._append((record.id, events_pb2.CatalogChange(put_user=record)))

    async def delete_user(self, number: int) -> None:
        """Forgets a user."""
        await self._append((number, events_pb2.CatalogChange(delete_user=number)))

    async def _append(self, *changes: tuple[int, events_pb2.CatalogChange]) -> None:
        """(key, change) each."""
        for _, change in changes:
            change.change_id = uuid.uuid4().hex
            change.ts_us = time.time_ns() // 1000
        records = [Record(CATALOG, str(key), change.SerializeToString()) for key, change in changes]
        await self._producer.append(records, timeout=self._timeout)


def _record(item: Item) -> events_pb2.ItemRecord:
    return events_pb2.ItemRecord(
        id=to_int(item.item_id),
        item_id=item.item_id,
        title=item.title,
        year=item.year,
        genres=item.genres,
        creators=item.creators,
        created_us=_microseconds(item.created_at),
    )


def _microseconds(moment: datetime | None) -> int:
    return 0 if moment is None else microseconds(moment)
