"""The text index beside a catalog: built after the start, and filled again when its server has lost it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from models.items import ItemTable
from services.retrieval.settings import RetrievalSettings
from services.retrieval.text import Where, following
from services.retrieval.text.following import FollowedText
from services.retrieval.text.qdrant import QdrantTextStore
from services.runtime.errors import Unavailable
from services.runtime.itemfeed import ItemFeed
from tests.retrieval.text.words_encoder import WordsEncoder
from tests.retrieval.tiny_models import catalog

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning"),
]

NAME = "two_tower_text"


class Server(QdrantClient):
    """The client library's own engine; the index closes a connection to it, not the engine."""

    def __init__(self) -> None:
        super().__init__(":memory:", force_disable_check_same_thread=True)

    def close(self, *_: object, **__: object) -> None:
        """One of several connections ends."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(following, "load_encoder", WordsEncoder)
    monkeypatch.setattr(following, "open_text_store", lambda _, dimensions: QdrantTextStore(server, NAME, dimensions))
    monkeypatch.setattr(following, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(following, "BETWEEN_SECONDS", 0.0)
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.02)
    return server


@pytest.fixture
async def text(server: Server, tmp_path: Path) -> AsyncIterator[FollowedText]:
    feed = ItemFeed()
    feed.table = ItemTable(catalog())
    settings = RetrievalSettings(CASCADE_DATA_DIR=tmp_path, index_url="qdrant://qdrant:6334")
    async with FollowedText.beside(feed, settings) as text:
        yield text


async def until_found(text: FollowedText) -> int:
    """How many items the catalog's first title finds, as soon as it finds any."""
    async with asyncio.timeout(10):
        while True:
            # While nothing is built the index says so; while a collection is away, the engine.
            try:
                if found := text.search(catalog().titles[0], 5, Where()).ids.size:
                    return int(found)
            except (Unavailable, ValueError):
                pass
            await asyncio.sleep(0.01)


async def test_what_a_server_lost_is_written_again(server: Server, text: FollowedText) -> None:
    await until_found(text)
    points = server.count(NAME).count
    server.delete_collection(NAME)
    await until_found(text)
    # What is being written is written to its end.
    await asyncio.to_thread(text._close)
    assert server.count(NAME).count == points


async def test_a_server_that_holds_everything_is_written_nothing(
    server: Server, text: FollowedText, monkeypatch: pytest.MonkeyPatch
) -> None:
    await until_found(text)
    looks = asyncio.Event()
    count, loop = server.count, asyncio.get_running_loop()
    seen: list[int] = []

    def counted(name: str, **_: object) -> object:
        seen.append(0)
        if len(seen) > 2:
            loop.call_soon_threadsafe(looks.set)
        return count(name)

    monkeypatch.setattr(server, "count", counted)
    monkeypatch.setattr(server, "upsert", None)
    await asyncio.wait_for(looks.wait(), 10)
    assert await until_found(text)
