"""A catalog of somebody else's: items without a title, ids that are no numbers and hold what an address is made of."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

import httpx
import numpy as np
import pytest

from models.items import ItemRows, ItemTable
from services.gateway.search.finder import vocabulary_of
from services.retrieval.text.document import documents_of
from services.runtime.ids import to_int
from tests.gateway.explanations.test_explanations import explained
from tests.gateway.films import item_rows, renamed, user_state
from tests.gateway.peers import Peers, until


def _named(external: str) -> ItemRows:
    return replace(item_rows((1,)), ids=np.array([to_int(external)], np.uint64), item_ids=[external])


async def _untitled(client: httpx.AsyncClient, peers: Peers) -> None:
    """Makes every item of the catalog one without a title."""
    await peers.update_items(upserts=renamed(item_rows(), ""))

    async def has_come() -> bool:
        return bool((await client.get("/v1/items/1")).json()["title"] == "")

    await until(has_come)


@pytest.mark.parametrize("external", ["SKU/1é", "a b?c#d", "https://news.example/a/1"])
async def test_an_item_is_found_whatever_its_id_is_spelled_with(
    client: httpx.AsyncClient, peers: Peers, external: str
) -> None:
    await peers.update_items(upserts=_named(external))
    address = f"/v1/items/{quote(external, safe='')}"

    async def has_come() -> bool:
        return (await client.get(address)).status_code == 200

    await until(has_come)
    assert (await client.get(address)).json()["item_id"] == external
    assert (await client.get(f"{address}/similar")).json()["surface"] == "similar"


@pytest.mark.parametrize("external", ["team/ann@example", "https://people.example/ann"])
async def test_a_users_id_may_hold_slashes(client: httpx.AsyncClient, peers: Peers, external: str) -> None:
    peers.features.users[to_int(external)] = user_state(to_int(external), seen=(3, 5))
    address = f"/v1/users/{quote(external, safe='')}"
    assert (await client.get(address)).json()["user_id"] == external
    shown = (await client.get(f"{address}/recommendations", params={"n": 3})).json()
    assert shown["items"][0]["reasons"] == ["because you watched Film 5"]


async def test_a_reason_names_an_item_without_a_title_by_its_id(client: httpx.AsyncClient, peers: Peers) -> None:
    await _untitled(client, peers)
    peers.features.users[1] = user_state(1, seen=(3, 5))
    shown = (await client.get("/v1/users/1/recommendations", params={"n": 3})).json()
    assert shown["items"][0]["reasons"] == ["because you watched 5"]


async def test_an_item_without_a_title_is_explained_by_its_id(client: httpx.AsyncClient, peers: Peers) -> None:
    await _untitled(client, peers)
    await peers.down("llm")
    peers.features.users[7] = user_state(7, seen=(1, 2))
    for explanation in await explained(client):
        assert explanation["sentence"].startswith(f"Because you watched 2: {explanation['item_id']} (1990)")


def test_what_has_no_title_is_searched_for_by_its_id() -> None:
    table = ItemTable(renamed(_named("SKU-77"), ""))
    assert [title.id for title in vocabulary_of(table).titled(["sku", "77"])] == [to_int("SKU-77")]
    assert "SKU-77" in documents_of(table)[0].words
