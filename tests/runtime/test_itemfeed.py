"""The catalog beside a scorer, from a features service over real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import grpc
import numpy as np
import pytest

from models.items import ITEM_COLUMNS, ItemRows, ItemTable
from services.pb import common_pb2, features_pb2, features_pb2_grpc
from services.runtime.convert import items_to_proto
from services.runtime.errors import Unavailable
from services.runtime.itemfeed import ItemFeed

WAIT_SECONDS = 10.0


def rows_of(*ids: int) -> ItemRows:
    names = [str(number) for number in ids]
    features = np.full((len(ids), len(ITEM_COLUMNS)), 1.0, np.float32)
    return ItemRows(np.array(ids, np.uint64), names, names, [("Drama",)] * len(ids), [()] * len(ids), features)


class Catalog(features_pb2_grpc.FeaturesServicer):
    """WatchItems tells the snapshot in two pieces, then what `updates` holds; None ends the stream."""

    def __init__(self) -> None:
        self.pieces: list[ItemRows] = [rows_of(1, 2), rows_of(3)]
        self.complete = True
        self.streams = 0
        self.updates: asyncio.Queue[features_pb2.ItemsUpdate | None] = asyncio.Queue()

    async def WatchItems(
        self, request: features_pb2.WatchItemsRequest, context: Any
    ) -> AsyncIterator[features_pb2.ItemsUpdate]:
        self.streams += 1
        last = len(self.pieces) - 1
        for place, piece in enumerate(self.pieces):
            ends = self.complete and place == last
            yield features_pb2.ItemsUpdate(upserts=items_to_proto(piece), snapshot_end=ends)
        while (update := await self.updates.get()) is not None:
            yield update

    async def GetUser(self, request: features_pb2.GetUserRequest, context: Any) -> features_pb2.GetUserResponse:
        raise NotImplementedError("A feed never asks for users.")

    async def GetFeatures(
        self, request: features_pb2.GetFeaturesRequest, context: Any
    ) -> features_pb2.GetFeaturesResponse:
        raise NotImplementedError("A feed never asks for features.")

    @asynccontextmanager
    async def listening(self, address: str = "127.0.0.1:0") -> AsyncIterator[str]:
        server = grpc.aio.server()
        features_pb2_grpc.add_FeaturesServicer_to_server(self, server)
        port = server.add_insecure_port(address)
        await server.start()
        try:
            yield f"grpc://127.0.0.1:{port}"
        finally:
            await server.stop(0)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not holds():  # noqa: ASYNC110 - the condition lies in another task
            await asyncio.sleep(0.005)


def ids_in(table: ItemTable) -> list[int]:
    ids: list[int] = table.ids.tolist()
    return ids


async def test_the_snapshot_comes_whole_and_then_every_change() -> None:
    catalog = Catalog()
    async with catalog.listening() as url, ItemFeed.connect(url) as feed:
        assert ids_in(feed.table) == [1, 2, 3]
        told: list[list[int]] = []
        feed.on_change(lambda table: told.append(ids_in(table)))
        await catalog.updates.put(features_pb2.ItemsUpdate(upserts=items_to_proto(rows_of(2, 9)), deleted=[1]))
        await until(lambda: ids_in(feed.table) == [2, 3, 9])
        assert told == [[1, 2, 3], [2, 3, 9]]


async def test_a_broken_stream_keeps_the_old_table_and_loads_the_new_one() -> None:
    catalog = Catalog()
    async with catalog.listening() as url, ItemFeed.connect(url) as feed:
        seen: list[list[int]] = []
        feed.on_change(lambda table: seen.append(ids_in(table)))
        catalog.pieces = [rows_of(4, 5)]
        await catalog.updates.put(None)
        await until(lambda: ids_in(feed.table) == [4, 5])
        assert seen == [[1, 2, 3], [4, 5]]


async def test_a_service_that_comes_back_is_found_again() -> None:
    catalog = Catalog()
    async with catalog.listening() as url:
        feeding = ItemFeed.connect(url)
        feed = await feeding.__aenter__()
    try:
        assert ids_in(feed.table) == [1, 2, 3]
        catalog.pieces = [rows_of(7)]
        async with catalog.listening(url.removeprefix("grpc://")):
            await until(lambda: ids_in(feed.table) == [7])
    finally:
        await feeding.__aexit__(None, None, None)


async def test_without_a_whole_snapshot_it_does_not_start() -> None:
    catalog = Catalog()
    catalog.complete = False
    async with catalog.listening() as url:
        with pytest.raises(Unavailable, match=f"features at {url} sent no catalog within 0.3 s"):
            async with ItemFeed.connect(url, deadline_s=0.3):
                pass
    with pytest.raises(Unavailable, match="sent no catalog"):
        async with ItemFeed.connect("grpc://127.0.0.1:1", deadline_s=0.1):
            pass


def malformed() -> dict[str, features_pb2.ItemRows]:
    """Rows of item 8 that do not fit together, by what is wrong."""
    whole = items_to_proto(rows_of(8, 9))
    made = {name: features_pb2.ItemRows.FromString(whole.SerializeToString()) for name in ("titles", "genres", "ids")}
    del made["titles"].titles[1:]
    del made["genres"].genres[:]
    made["ids"].ids.append(10)
    made["bytes"] = features_pb2.ItemRows(ids=[8], features=common_pb2.Matrix(rows=1, columns=["year"], values=b"x"))
    made["columns"] = features_pb2.ItemRows.FromString(whole.SerializeToString())
    made["columns"].features.CopyFrom(common_pb2.Matrix(rows=2, columns=["year"], values=np.zeros(2, "<f4").tobytes()))
    return made


@pytest.mark.parametrize("wrong", sorted(malformed()))
async def test_a_malformed_update_changes_nothing_and_ends_nothing(wrong: str) -> None:
    catalog = Catalog()
    async with catalog.listening() as url, ItemFeed.connect(url) as feed:
        await catalog.updates.put(features_pb2.ItemsUpdate(upserts=malformed()[wrong]))
        await until(lambda: catalog.streams == 2)
        assert ids_in(feed.table) == [1, 2, 3]
        await catalog.updates.put(features_pb2.ItemsUpdate(deleted=[3]))
        await until(lambda: ids_in(feed.table) == [1, 2])


async def test_the_feed_ends_with_its_block() -> None:
    catalog = Catalog()
    async with catalog.listening() as url:
        async with ItemFeed.connect(url) as feed:
            pass
        await catalog.updates.put(features_pb2.ItemsUpdate(deleted=[3]))
        with suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await until(lambda: ids_in(feed.table) != [1, 2, 3])
        assert ids_in(feed.table) == [1, 2, 3]
