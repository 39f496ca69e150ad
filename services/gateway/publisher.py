"""Changes of the catalog, acknowledged by the event log before the caller is told."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
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
        number = to_int(item.item_id)
        record = events_pb2.ItemRecord(
            id=number,
            item_id=item.item_id,
            title=item.title,
            year=item.year,
            genres=item.genres,
            creators=item.creators,
            created_us=_microseconds(item.created_at),
        )
        await self._append(number, events_pb2.CatalogChange(put_item=record))
        self._catalog.put(number, item)

    async def delete_item(self, number: int) -> None:
        """Takes an item out for good."""
        await self._append(number, events_pb2.CatalogChange(delete_item=number))
        self._catalog.delete(number)

    async def put_user(self, user_id: str, profile: Mapping[str, str]) -> None:
        """Adds a user or replaces the profile."""
        record = events_pb2.UserRecord(id=to_int(user_id), user_id=user_id, profile=profile)
        await self._append(record.id, events_pb2.CatalogChange(put_user=record))

    async def delete_user(self, number: int) -> None:
        """Forgets a user."""
        await self._append(number, events_pb2.CatalogChange(delete_user=number))

    async def _append(self, key: int, change: events_pb2.CatalogChange) -> None:
        change.change_id = uuid.uuid4().hex
        change.ts_us = time.time_ns() // 1000
        await self._producer.append([Record(CATALOG, str(key), change.SerializeToString())], timeout=self._timeout)


def _microseconds(moment: datetime | None) -> int:
    return 0 if moment is None else microseconds(moment)
