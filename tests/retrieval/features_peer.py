"""A features service that only has a catalog to tell, for services that follow one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np

from models.items import ITEM_COLUMNS, ItemRows
from services.pb import features_pb2, features_pb2_grpc
from services.runtime.convert import items_to_proto


def item_rows(
    ids: Sequence[int],
    genres: Sequence[Sequence[str]] | None = None,
    creators: Sequence[Sequence[str]] | None = None,
    **columns: Sequence[float],
) -> ItemRows:
    """Items with the given columns of ITEM_COLUMNS; the rest is unknown."""
    features = np.full((len(ids), len(ITEM_COLUMNS)), np.nan, np.float32)
    for name, values in columns.items():
        features[:, ITEM_COLUMNS.index(name)] = values
    names = [str(item) for item in ids]
    return ItemRows(
        np.array(ids, np.uint64),
        names,
        names,
        [tuple(own) for own in genres] if genres is not None else [()] * len(ids),
        [tuple(own) for own in creators] if creators is not None else [()] * len(ids),
        features,
    )


class FeaturesPeer(features_pb2_grpc.FeaturesServicer):
    """WatchItems over real gRPC: the snapshot, then whatever `send` is told."""

    def __init__(self, rows: ItemRows) -> None:
        self._rows = rows
        self._watchers: list[asyncio.Queue[features_pb2.ItemsUpdate]] = []
        self.url = ""

    async def WatchItems(
        self, request: features_pb2.WatchItemsRequest, context: Any
    ) -> AsyncIterator[features_pb2.ItemsUpdate]:
        changes: asyncio.Queue[features_pb2.ItemsUpdate] = asyncio.Queue()
        self._watchers.append(changes)
        yield features_pb2.ItemsUpdate(upserts=items_to_proto(self._rows), snapshot_end=True)
        while True:
            yield await changes.get()

    async def GetUser(self, request: features_pb2.GetUserRequest, context: Any) -> features_pb2.GetUserResponse:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "This peer has a catalog only.")
        raise AssertionError

    async def GetFeatures(
        self, request: features_pb2.GetFeaturesRequest, context: Any
    ) -> features_pb2.GetFeaturesResponse:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "This peer has a catalog only.")
        raise AssertionError

    def send(self, upserts: ItemRows | None = None, deleted: Sequence[int] = ()) -> None:
        """One change for everybody who watches."""
        rows = items_to_proto(upserts if upserts is not None else ItemRows.empty())
        for watcher in self._watchers:
            watcher.put_nowait(features_pb2.ItemsUpdate(upserts=rows, deleted=deleted))

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[FeaturesPeer]:
        server = grpc.aio.server()
        features_pb2_grpc.add_FeaturesServicer_to_server(self, server)
        self.url = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        try:
            yield self
        finally:
            await server.stop(0)
