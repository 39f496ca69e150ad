"""A Qdrant server that comes back without its collections gets them again, whichever versions are kept at the time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import UnexpectedResponse

from models.items import ItemTable
from services.retrieval import champions as champions_module
from services.retrieval import loading
from services.retrieval.champions import Champions
from services.retrieval.index.qdrant import QdrantIndex
from services.retrieval.served import Serving
from services.retrieval.settings import RetrievalSettings
from services.runtime.errors import Unavailable
from services.runtime.itemfeed import ItemFeed
from services.runtime.registry import CHALLENGER, CHAMPION, Registry
from tests.retrieval.artifacts import MODELS
from tests.retrieval.features_peer import item_rows
from tests.retrieval.tiny_models import catalog

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning")


class Server(QdrantClient):
    """The client library's own engine, which answers as a server does for a collection that is not there."""

    def __init__(self) -> None:
        super().__init__(":memory:", force_disable_check_same_thread=True)
        self.away = False

    def open(self, url: str, dimension: int) -> QdrantIndex:
        """In the place of `open_index`."""
        if self.away:
            raise Unavailable("The server is away.")
        return QdrantIndex(self, url.rsplit("/", 1)[1], dimension)

    def forget(self) -> None:
        """Starts anew, with nothing in it."""
        for collection in self.get_collections().collections:
            self.delete_collection(collection.name)

    def count(self, *args: Any, **kwargs: Any) -> Any:
        return self._answered(super().count, *args, **kwargs)

    def upsert(self, *args: Any, **kwargs: Any) -> Any:
        return self._answered(super().upsert, *args, **kwargs)

    def query_points(self, *args: Any, **kwargs: Any) -> Any:
        return self._answered(super().query_points, *args, **kwargs)

    def get_aliases(self, *args: Any, **kwargs: Any) -> Any:
        return self._answered(super().get_aliases, *args, **kwargs)

    def close(self, *args: Any, **kwargs: Any) -> None:
        """One of several connections ends."""

    def _answered(self, ask: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.away:
            raise UnexpectedResponse(503, "Service Unavailable", b"", httpx.Headers())
        try:
            return ask(*args, **kwargs)
        except ValueError as error:
            raise UnexpectedResponse(404, "Not Found", str(error).encode(), httpx.Headers()) from error


class Stack:
    """Champions over that server, and what may be done to them."""

    def __init__(self, data_dir: Path, artifacts: Path, server: Server) -> None:
        self.server, self.registry, self.feed, self._artifacts = server, Registry.open(data_dir), ItemFeed(), artifacts
        self.feed.table = ItemTable(catalog())
        settings = RetrievalSettings(CASCADE_DATA_DIR=data_dir, index_url="qdrant://qdrant:6334")
        self.champions = Champions(self.registry, self.feed, settings)

    def publish(self, alias: str) -> dict[str, str]:
        """The next version of all three models."""
        return {name: self.registry.publish(name, self._artifacts / name, alias) for name in MODELS}

    def point(self, alias: str, versions: dict[str, str]) -> None:
        for name, version in versions.items():
            self.registry.set_alias(name, alias, version)

    def add_item(self, number: int) -> None:
        """An item that no tower was fitted with, but that all can place by its content."""
        self.feed.table = self.feed.table.updated(item_rows([number], [["Comedy"]]), np.empty(0, np.uint64))
        self.champions.take_catalog(self.feed.table)


@pytest.fixture
def stack(data_dir: Path, artifacts: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    server = Server()
    monkeypatch.setattr(loading, "open_index", server.open)
    monkeypatch.setattr(champions_module, "RETRY_SECONDS", 0.0)
    return Stack(data_dir, artifacts, server)


def whole(serving: Serving | None) -> bool:
    return serving is not None and not serving.index_lost()


async def test_champion_and_challenger_get_their_points_again(stack: Stack) -> None:
    stack.publish(CHALLENGER)
    assert await stack.champions.refresh()
    stack.server.forget()
    assert not whole(stack.champions.current)
    assert not whole(stack.champions.challenger)
    assert await stack.champions.refresh()
    assert whole(stack.champions.current)
    assert whole(stack.champions.challenger)
    await stack.champions.refresh()
    assert [entry.alias_name for entry in stack.server.get_aliases().aliases] == ["two_tower_champion"]


async def test_the_registry_is_not_needed_for_it(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> Any:
        raise Unavailable("The registry is away.")

    monkeypatch.setattr(stack.registry, "aliases", away)
    monkeypatch.setattr(stack.registry, "resolve", away)
    stack.server.forget()
    assert await stack.champions.refresh()
    assert whole(stack.champions.current)


async def test_a_rollback_finds_the_points_of_the_champion_before(stack: Stack) -> None:
    first = dict(stack.champions.current.versions)
    stack.publish(CHAMPION)
    assert await stack.champions.refresh()
    stack.server.forget()
    await stack.champions.refresh()
    stack.point(CHAMPION, first)
    # Nothing is loaded on the way back: it is followed at once, over an index that is whole.
    champion = await stack.champions._having(first)
    assert whole(champion)


@pytest.mark.parametrize("away", [False, True])
async def test_a_rollback_is_followed_while_points_are_lost_and_items_have_come(stack: Stack, away: bool) -> None:
    first = dict(stack.champions.current.versions)
    stack.publish(CHAMPION)
    assert await stack.champions.refresh()
    stack.add_item(94)
    stack.server.forget()
    stack.server.away = away
    stack.point(CHAMPION, first)
    assert await stack.champions.refresh()
    assert stack.champions.current.versions == first
    stack.server.away = False
    await stack.champions.refresh()
    assert whole(stack.champions.current)
    assert 94 in stack.champions.current.retriever.models.tower.item_ids


async def test_a_promotion_is_followed_while_the_challengers_points_are_lost_and_items_have_come(stack: Stack) -> None:
    fresh = stack.publish(CHALLENGER)
    assert await stack.champions.refresh()
    stack.add_item(94)
    stack.server.forget()
    stack.point(CHAMPION, fresh)
    for name in MODELS:
        stack.registry.remove_alias(name, CHALLENGER)
    assert await stack.champions.refresh()
    assert stack.champions.current.versions == fresh
    assert whole(stack.champions.current)


async def test_items_that_come_while_the_server_is_away_keep_nothing_else_back(stack: Stack) -> None:
    stack.add_item(94)
    stack.server.away = True
    fresh = stack.publish(CHAMPION)
    assert not await stack.champions.refresh()
    stack.server.away = False
    await stack.champions.refresh()
    assert stack.champions.current.versions == fresh
    assert 94 in stack.champions.current.retriever.models.tower.item_ids
