"""The features service's door: protobuf outside, columns inside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from models.items import ITEM_COLUMNS
from services.features.changes import ItemChanges, Watch
from services.features.reader import FeatureReader, Missing, open_reader
from services.features.rows import Presence
from services.features.settings import FeaturesSettings
from services.pb import features_pb2, features_pb2_grpc
from services.runtime.convert import ids_from_proto, items_to_proto, matrix_to_proto, user_to_proto
from services.runtime.errors import TooLarge, Unavailable
from services.runtime.metrics import ITEMS
from services.runtime.server import Door, Service
from services.runtime.tracing import CLIENT, Attributes, part

MOST_ITEMS = 5000
"""Items one GetFeatures may ask for."""
CHUNK = 2000
"""Items in one update of WatchItems."""
STORE: Attributes = {"db.system.name": "redis", "db.operation.name": "MGET", "peer.service": "redis"}
"""What a trace says of a read of the online store."""

_REASONS = {
    Presence.ABSENT: features_pb2.Missing.ABSENT,
    Presence.EXPIRED: features_pb2.Missing.EXPIRED,
}

Context = grpc.aio.ServicerContext[Any, Any]


class Features(features_pb2_grpc.FeaturesServicer):
    """Answers from the online store."""

    def __init__(self, reader: FeatureReader, changes: ItemChanges, coalesce_s: float) -> None:
        self._reader = reader
        self._changes = changes
        self._coalesce_s = coalesce_s

    async def GetUser(self, request: features_pb2.GetUserRequest, context: Context) -> features_pb2.GetUserResponse:
        with part("MGET", STORE, CLIENT):
            user, missing = await self._reader.user(request.user_id)
        return features_pb2.GetUserResponse(user=user_to_proto(user), missing=_missing_to_proto(missing))

    async def GetFeatures(
        self, request: features_pb2.GetFeaturesRequest, context: Context
    ) -> features_pb2.GetFeaturesResponse:
        if len(request.item_ids) > MOST_ITEMS:
            raise TooLarge(f"item_ids has {len(request.item_ids)} items; the limit is {MOST_ITEMS}.", field="item_ids")
        ids = ids_from_proto(request.item_ids)
        with part("MGET", STORE, CLIENT):
            user, matrix, missing = await self._reader.user_and_items(request.user_id, ids)
        return features_pb2.GetFeaturesResponse(
            user=user_to_proto(user),
            items=matrix_to_proto(matrix, ITEM_COLUMNS),
            missing=_missing_to_proto(missing),
        )

    async def WatchItems(
        self, request: features_pb2.WatchItemsRequest, context: Context
    ) -> AsyncIterator[features_pb2.ItemsUpdate]:
        # Watched from before the snapshot is read: what changes meanwhile is sent again after it.
        with self._changes.watch() as watch:
            async for update in self._snapshot():
                yield update
            while True:
                yield await self._next_update(watch)

    async def _snapshot(self) -> AsyncIterator[features_pb2.ItemsUpdate]:
        ids = await self._reader.catalog_ids()
        ITEMS.labels("features").set(len(ids))
        for start in range(0, len(ids), CHUNK):
            rows, _ = await self._reader.items(ids[start : start + CHUNK])
            yield features_pb2.ItemsUpdate(upserts=items_to_proto(rows))
        yield features_pb2.ItemsUpdate(snapshot_end=True)

    async def _next_update(self, watch: Watch) -> features_pb2.ItemsUpdate:
        changed = await watch.changes(self._coalesce_s, CHUNK)
        rows, gone = await self._reader.items(changed)
        return features_pb2.ItemsUpdate(upserts=items_to_proto(rows), deleted=gone.tolist())


def _missing_to_proto(missing: Sequence[Missing]) -> list[features_pb2.Missing]:
    return [
        features_pb2.Missing(view=part.view, reason=_REASONS[part.reason], ids=part.ids.tolist()) for part in missing
    ]


@asynccontextmanager
async def build(settings: FeaturesSettings) -> AsyncIterator[Door]:
    """Waits for Redis and the definitions in it, then reads a user and some items once to be warm."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        stop=stop_after_delay(settings.start_seconds),
        wait=wait_random_exponential(0.1, max=1.0),
        reraise=True,
    ):
        with attempt:
            async with open_reader(settings.redis_url, timeout_s=settings.store_timeout_s):
                pass
    async with (
        open_reader(
            settings.redis_url, timeout_s=settings.store_timeout_s, connections=settings.store_connections
        ) as reader,
        ItemChanges.open(
            settings.redis_url,
            reader.item_prefixes,
            timeout_s=settings.store_timeout_s,
            deadline_s=settings.start_seconds,
        ) as changes,
    ):
        await reader.user_and_items(0, np.arange(1, 101, dtype=np.uint64))
        features = Features(reader, changes, settings.coalesce_ms / 1000)
        yield Door(
            add=lambda server: features_pb2_grpc.add_FeaturesServicer_to_server(features, server),
            services=("cascade.Features",),
            failed=changes.task,
            draining=changes.close,
        )


SERVICE = Service("features", FeaturesSettings, build)
