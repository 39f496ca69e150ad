"""A features service that only streams a catalog: what the ranker follows in these tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from models.items import ItemRows, ItemTable
from services.pb import features_pb2, features_pb2_grpc
from services.runtime.convert import items_to_proto
from services.runtime.server import Door, Service, serving
from services.runtime.settings import ServiceSettings, service_config


class CatalogSettings(ServiceSettings):
    model_config = service_config("catalog")


class CatalogPeer(features_pb2_grpc.FeaturesServicer):
    def __init__(self, items: ItemTable) -> None:
        self._snapshot = rows_of(items)
        self.changes: asyncio.Queue[features_pb2.ItemsUpdate] = asyncio.Queue()

    async def GetUser(self, request: Any, context: Any) -> features_pb2.GetUserResponse:
        return features_pb2.GetUserResponse()

    async def GetFeatures(self, request: Any, context: Any) -> features_pb2.GetFeaturesResponse:
        return features_pb2.GetFeaturesResponse()

    async def WatchItems(self, request: Any, context: Any) -> AsyncIterator[features_pb2.ItemsUpdate]:
        yield features_pb2.ItemsUpdate(upserts=items_to_proto(self._snapshot), snapshot_end=True)
        while True:
            yield await self.changes.get()


def rows_of(items: ItemTable) -> ItemRows:
    return ItemRows(items.ids, items.item_ids, items.titles, items.genres, items.creators, items.features)


@asynccontextmanager
async def catalog_peer(items: ItemTable) -> AsyncIterator[tuple[str, CatalogPeer]]:
    """Its URL, and the peer, whose `changes` are sent on."""
    peer = CatalogPeer(items)

    @asynccontextmanager
    async def build(_settings: CatalogSettings) -> AsyncIterator[Door]:
        yield Door(lambda server: features_pb2_grpc.add_FeaturesServicer_to_server(peer, server), ("cascade.Features",))

    async with serving(Service("catalog", CatalogSettings, build), CatalogSettings(port=0, drain_seconds=0)) as running:
        yield f"grpc://{running.address}", peer
