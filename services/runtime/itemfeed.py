"""The catalog kept beside a scorer: a snapshot from the features service, then every change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
import numpy as np
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from models.items import ItemRows, ItemTable
from services.pb import features_pb2, features_pb2_grpc
from services.runtime.client import open_channel
from services.runtime.convert import ids_from_proto, items_from_proto
from services.runtime.errors import CascadeError, Unavailable
from services.runtime.logs import get_logger
from services.runtime.metrics import CATALOG_CHANGED

log = get_logger("itemfeed")


class ItemFeed:
    """Holds the current ItemTable. When the stream breaks it keeps the last table and reloads with backoff.

    async with ItemFeed.connect("grpc://127.0.0.1:50051") as feed:
        feed.table.gather(ids)
    """

    def __init__(self) -> None:
        self.table = ItemTable(ItemRows.empty())
        self._loaded = asyncio.Event()
        self._callbacks: list[Callable[[ItemTable], None]] = []

    def on_change(self, callback: Callable[[ItemTable], None]) -> None:
        """Calls back with the current table now, and with the new one after every change."""
        self._callbacks.append(callback)
        callback(self.table)

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, deadline_s: float = 30.0) -> AsyncIterator[ItemFeed]:
        """A feed that has its first snapshot; Unavailable when none came within the deadline."""
        feed = cls()
        async with open_channel(url) as channel:
            task = asyncio.create_task(feed._follow_forever(features_pb2_grpc.FeaturesStub(channel)))
            try:
                await feed._first_table(url, deadline_s)
                yield feed
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _first_table(self, url: str, deadline_s: float) -> None:
        try:
            await asyncio.wait_for(self._loaded.wait(), deadline_s)
        except TimeoutError as error:
            raise Unavailable(f"features at {url} sent no catalog within {deadline_s:g} s.") from error

    async def _follow_forever(self, stub: features_pb2_grpc.FeaturesAsyncStub) -> None:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type((grpc.RpcError, CascadeError, ValueError)),
            wait=wait_random_exponential(0.1, max=2.0),
        ):
            with attempt:
                await self._follow(stub)

    async def _follow(self, stub: features_pb2_grpc.FeaturesAsyncStub) -> None:
        snapshot: list[features_pb2.ItemsUpdate] | None = []
        stream = stub.WatchItems(features_pb2.WatchItemsRequest(), wait_for_ready=True)
        try:
            async for update in stream:
                if snapshot is None:
                    self._swap(self.table.updated(items_from_proto(update.upserts), ids_from_proto(update.deleted)))
                    continue
                snapshot.append(update)
                if update.snapshot_end:
                    self._swap(_table_of(snapshot, self.table.version + 1))
                    snapshot = None
                    self._loaded.set()
        finally:
            stream.cancel()
        raise grpc.RpcError("The features service ended the stream.")

    def _swap(self, table: ItemTable) -> None:
        self.table = table
        CATALOG_CHANGED.set(time.time())
        for callback in self._callbacks:
            callback(table)


def _table_of(updates: list[features_pb2.ItemsUpdate], version: int) -> ItemTable:
    parts = [items_from_proto(update.upserts) for update in updates]
    rows = ItemRows(
        ids=np.concatenate([part.ids for part in parts]),
        item_ids=[name for part in parts for name in part.item_ids],
        titles=[title for part in parts for title in part.titles],
        genres=[genres for part in parts for genres in part.genres],
        creators=[creators for part in parts for creators in part.creators],
        features=np.concatenate([part.features for part in parts]),
    )
    return ItemTable(rows, version)
