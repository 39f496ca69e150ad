"""Items and users put, read and deleted; the gateway's own word holds until the feed confirms it."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.items import ItemRows, ItemTable
from services.gateway.catalog import Catalog, Item
from services.gateway.pipeline import ranked_around
from services.pb import events_pb2
from services.runtime.ids import to_int
from services.runtime.itemfeed import ItemFeed
from tests.gateway.films import item_rows, user_state
from tests.gateway.log_reader import consumed
from tests.gateway.peers import Peers


class HandFeed(ItemFeed):
    """A feed whose tables a test hands over."""

    def show(self, table: ItemTable) -> None:
        self._swap(table)


def array(*ids: int) -> Any:
    return np.array(ids, np.uint64)


async def test_put_item_is_read_back_at_once_and_logged(client: httpx.AsyncClient, kafka_url: str) -> None:
    body = {"title": "Sunrise", "year": 1927, "genres": ["Drama"], "creators": ["F. W. Murnau"]}
    response = await client.put("/v1/items/sunrise-1", json=body | {"created_at": "2024-05-01T12:00:00Z"})
    record = body | {"item_id": "sunrise-1", "created_at": "2024-05-01T12:00:00+00:00"}
    assert (response.status_code, response.json()) == (200, record)
    assert (await client.get("/v1/items/sunrise-1")).json() == record | {"statistics": {}}
    found = await asyncio.to_thread(
        consumed, kafka_url, "catalog", events_pb2.CatalogChange, lambda c: c.put_item.item_id == "sunrise-1"
    )
    key, change = found[0]
    assert key == str(to_int("sunrise-1")) == str(change.put_item.id)
    assert (change.put_item.title, change.put_item.year, list(change.put_item.genres)) == ("Sunrise", 1927, ["Drama"])
    assert change.put_item.created_us == 1_714_564_800_000_000


async def test_replaced_item_keeps_its_age(client: httpx.AsyncClient) -> None:
    before = (await client.get("/v1/items/7")).json()["created_at"]
    assert (await client.put("/v1/items/7", json={"title": "Seven"})).json()["created_at"] == before is not None


async def test_item_tells_what_its_events_say(client: httpx.AsyncClient) -> None:
    item = (await client.get("/v1/items/7")).json()
    assert item["statistics"]["event_count"] == 993
    assert (item["title"], item["year"], item["genres"]) == ("Film 7", 1990, ["Comedy"])


async def test_deletion_is_logged(client: httpx.AsyncClient, kafka_url: str) -> None:
    await client.delete("/v1/items/424242")
    await client.delete("/v1/users/434343")
    items = await asyncio.to_thread(
        consumed, kafka_url, "catalog", events_pb2.CatalogChange, lambda c: c.delete_item == 424242
    )
    users = await asyncio.to_thread(
        consumed, kafka_url, "catalog", events_pb2.CatalogChange, lambda c: c.delete_user == 434343
    )
    assert (items[0][0], users[0][0]) == ("424242", "434343")


async def test_put_user_is_read_back_at_once_and_logged(client: httpx.AsyncClient, kafka_url: str) -> None:
    response = await client.put("/v1/users/new-user", json={"profile": {"gender": "F", "age": 25}})
    assert response.json() == {"user_id": "new-user", "profile": {"gender": "F", "age": "25"}}
    assert (await client.get("/v1/users/new-user")).json()["profile"] == {"gender": "F", "age": "25"}
    found = await asyncio.to_thread(
        consumed, kafka_url, "catalog", events_pb2.CatalogChange, lambda c: c.put_user.user_id == "new-user"
    )
    assert dict(found[0][1].put_user.profile) == {"gender": "F", "age": "25"}


async def test_user_is_told_newest_event_first(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.features.users[1] = user_state(1, seen=(3, 5), hidden=(7,))
    user = (await client.get("/v1/users/1")).json()
    assert [entry["title"] for entry in user["history"]] == ["Film 5", "Film 3"]
    assert user["history"][0]["ts"] == "1970-01-01T00:00:01+00:00"
    assert (user["profile"], user["seen"], user["hidden"]) == ({"gender": "F"}, 2, 1)


async def test_deleted_user_is_gone_at_once(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.features.users[1] = user_state(1, seen=(3,))
    assert (await client.get("/v1/users/1")).status_code == 200
    assert (await client.delete("/v1/users/1")).status_code == 204
    assert (await client.get("/v1/users/1")).status_code == 404


def test_put_item_is_forgotten_once_the_feed_shows_it() -> None:
    feed = HandFeed()
    catalog = Catalog(feed)
    catalog.put(5, Item("5", "Film 5", genres=("Drama",)))
    assert catalog.known(array(5, 6)).tolist() == [True, False]
    assert catalog.names_of(array(5, 6)) == [("5", "Film 5"), None]
    feed.show(ItemTable(item_rows((5,)), 1))
    assert catalog.statistics(5)["event_count"] == 995
    feed.show(ItemTable(ItemRows.empty(), 2))
    assert catalog.item(5) is None
    assert catalog.is_deleted(5)


def test_deletion_holds_until_the_feed_had_it_and_brings_the_item_back() -> None:
    feed = HandFeed()
    catalog = Catalog(feed)
    feed.show(ItemTable(item_rows((5, 6)), 1))
    catalog.delete(5)
    for version in (2, 3):
        feed.show(ItemTable(item_rows((5, 6)), version))
        assert catalog.known(array(5, 6)).tolist() == [False, True]
        assert (catalog.item(5), catalog.pending_deletions()) == (None, [5])
    feed.show(ItemTable(item_rows((6,)), 4))
    assert catalog.pending_deletions() == []
    assert list(catalog.popular()) == [6]
    feed.show(ItemTable(item_rows((5, 6)), 5))
    assert catalog.known(array(5, 6)).all()
    assert not catalog.is_deleted(5)


def test_popular_decays_with_the_time_since_the_last_event() -> None:
    rows = item_rows((1, 2, 3))
    rows.features[:, 3] = (100, 60, np.nan)  # recent_count
    rows.features[:, 6] = (20_000 - 30, 20_000, np.nan)  # last_seen_days: one half-life ago, now, never
    feed = HandFeed()
    feed.show(ItemTable(rows, 1))
    assert list(Catalog(feed).popular()) == [2, 1, 3]


@given(st.lists(st.tuples(st.booleans(), st.floats(width=32)), max_size=30))
def test_ranking_around_never_loses_an_item_and_never_moves_an_unknown_one(rows: list[tuple[bool, float]]) -> None:
    known = np.array([row[0] for row in rows], np.bool_)
    scores = np.array([row[1] for row in rows], np.float32)
    order = ranked_around(known, scores)
    assert sorted(order.tolist()) == list(range(len(rows)))
    assert (order[~known] == np.flatnonzero(~known)).all()
    ranked = scores[order][known]
    finite = ranked[~np.isnan(ranked)]
    assert (finite[:-1] >= finite[1:]).all()
    assert np.isnan(ranked[finite.size :]).all()
