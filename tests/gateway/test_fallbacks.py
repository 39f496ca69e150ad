"""Peers die, dawdle and talk nonsense; every answer is a 200 that says what was replaced, and hides what it must."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.runtime.errors import InvalidArgument, NotFound
from tests.gateway.conftest import Opened
from tests.gateway.films import GENRES, ITEMS, item_rows, renamed, user_state
from tests.gateway.peers import Peers, until

STAGES = {"features": "features", "retrieval": "retrieval", "ranker": "ranking", "reranker": "reranking"}
FALLBACKS = {
    "features": "cold-start profile",
    "retrieval": "popular items",
    "ranker": "retrieval order",
    "reranker": "score order",
}


async def recommended(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post("/v1/recommendations", json={"user_id": "1", "n": 5} | body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def ids(answer: dict[str, Any]) -> list[int]:
    return [int(card["item_id"]) for card in answer["items"]]


@pytest.mark.parametrize("peer", STAGES)
async def test_dead_peer_degrades_its_stage_only(client: httpx.AsyncClient, peers: Peers, peer: str) -> None:
    await peers.down(peer)
    answer = await recommended(client)
    assert [(entry["stage"], entry["fallback"]) for entry in answer["degraded"]] == [(STAGES[peer], FALLBACKS[peer])]
    assert "does not answer" in answer["degraded"][0]["reason"]
    assert answer["served_by"] == "fallback"
    assert len(answer["items"]) == 5


async def test_a_source_that_does_not_answer_is_told(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.retrieval.lost = "no answer within 25 ms"
    answer = await recommended(client)
    assert answer["degraded"] == [
        {"stage": "retrieval", "reason": "two_tower: no answer within 25 ms", "fallback": "the other sources"}
    ]
    assert (answer["served_by"], len(answer["items"])) == ("fallback", 5)


@pytest.mark.parametrize("peer", STAGES)
async def test_slow_peer_costs_its_deadline_only(opened: Opened, peers: Peers, peer: str) -> None:
    peers.switches(peer).slow = True
    cap = {"features": "features_ms", "retrieval": "retrieval_ms", "ranker": "ranking_ms", "reranker": "reranking_ms"}
    async with opened(**{cap[peer]: 20}) as client:
        answer = await recommended(client)
    assert [(entry["stage"], entry["fallback"]) for entry in answer["degraded"]] == [(STAGES[peer], FALLBACKS[peer])]
    assert "in time" in answer["degraded"][0]["reason"]


@pytest.mark.parametrize("peer", ["retrieval", "ranker", "reranker"])
async def test_nonsense_counts_as_no_answer(client: httpx.AsyncClient, peers: Peers, peer: str) -> None:
    peers.switches(peer).wrong = True
    answer = await recommended(client)
    assert [entry["stage"] for entry in answer["degraded"]] == [STAGES[peer]]
    assert len(answer["items"]) == 5


@pytest.mark.parametrize("error", [NotFound("No model."), InvalidArgument("No.")])
async def test_refusing_peer_is_replaced_too(client: httpx.AsyncClient, peers: Peers, error: Any) -> None:
    for peer in STAGES:
        peers.switches(peer).error = error
    answer = await recommended(client)
    assert [entry["stage"] for entry in answer["degraded"]] == list(STAGES.values())
    assert ids(answer) == [1, 2, 3, 4, 5]


async def test_all_peers_dead_leaves_popular_items(client: httpx.AsyncClient, peers: Peers) -> None:
    await peers.close()
    answer = await recommended(client)
    assert [entry["stage"] for entry in answer["degraded"]] == list(STAGES.values())
    assert ids(answer) == [1, 2, 3, 4, 5]
    assert answer["items"][0]["reasons"] == ["popular right now"]
    scores = [card["score"] for card in answer["items"]]
    assert scores == sorted(scores, reverse=True)


async def test_spent_budget_still_answers(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.features.switches.slow = True
    answer = await recommended(client, deadline_ms=20)
    assert [entry["stage"] for entry in answer["degraded"]] == list(STAGES.values())
    assert "deadline passed" in answer["degraded"][1]["reason"]


async def test_restarted_peer_is_used_again(client: httpx.AsyncClient, peers: Peers) -> None:
    await peers.down("ranker")
    assert (await recommended(client))["served_by"] == "fallback"
    await peers.up("ranker")

    async def fresh() -> bool:
        return bool((await recommended(client))["served_by"] == "fresh")

    await until(fresh)


async def test_known_user_keeps_the_last_state_when_features_is_away(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.features.users[1] = user_state(1, seen=(858,), hidden=(318,))
    await recommended(client)
    await peers.down("features")
    answer = await recommended(client)
    assert answer["served_by"] == "cache"
    assert answer["degraded"][0]["fallback"] == "last known user state"
    assert ids(answer)[:2] == [296, 40]
    stranger = await recommended(client, user_id="2")
    assert (stranger["served_by"], stranger["degraded"][0]["fallback"]) == ("fallback", "cold-start profile")


async def test_popular_fallback_honours_every_filter(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.features.users[1] = user_state(1, seen=(1, 4), hidden=(7,))
    await client.delete("/v1/items/10")
    await peers.update_items(deleted=(13,))
    await peers.down("retrieval")
    await peers.down("ranker")

    async def deletion_arrived() -> bool:
        return bool((await client.get("/v1/items/13")).status_code == 404)

    await until(deletion_arrived)
    answer = await recommended(client, exclude=["16"], filter={"category": [GENRES[1]]}, n=4)
    assert ids(answer) == [19, 22, 25, 28]


async def test_deleted_item_is_gone_at_once_on_every_path(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.retrieval.leaky = True
    assert (await client.delete("/v1/items/858")).status_code == 204
    assert 858 not in ids(await recommended(client))
    assert 858 in peers.retrieval.switches.requests[-1].exclude
    ranked = await client.post("/v1/rank", json={"user_id": "1", "candidates": ["858", "1"]})
    assert [card["item_id"] for card in ranked.json()["items"]] == ["1"]
    for path in ("/v1/popular", "/v1/latest", "/v1/items/318/similar"):
        cards = (await client.get(path, params={"n": 100})).json()["items"]
        assert "858" not in [card["item_id"] for card in cards], path
    assert (await client.get("/v1/items/858")).status_code == 404
    assert (await client.get("/v1/items/858/similar")).status_code == 404


async def test_deletion_that_the_feed_confirmed_can_be_taken_back(client: httpx.AsyncClient, peers: Peers) -> None:
    await client.delete("/v1/items/858")
    await peers.update_items(deleted=(858,))
    await peers.update_items(upserts=renamed(item_rows((858,)), "Back again"))

    async def back() -> bool:
        return (await client.get("/v1/items/858")).status_code == 200 and 858 in ids(await recommended(client))

    await until(back)


async def test_lists_fall_back_to_the_gateways_own_table(client: httpx.AsyncClient, peers: Peers) -> None:
    await peers.down("retrieval")
    peers.features.users[1] = user_state(1, seen=(1,))
    expected = {
        "/v1/popular": [2, 3, 4],
        "/v1/latest": [2, 3, 4],
        "/v1/items/3/similar": [6, 9, 12],
    }
    for path, shown in expected.items():
        answer = (await client.get(path, params={"n": 3, "user_id": "1"})).json()
        assert ids(answer) == shown
        assert answer["served_by"] == "fallback"


async def test_listed_items_keep_the_given_order_without_scores(client: httpx.AsyncClient, peers: Peers) -> None:
    await peers.down("ranker")
    await peers.down("retrieval")
    answer = (await client.post("/v1/rank", json={"candidates": ["5", "nobody-knows", "3"]})).json()
    assert [card["item_id"] for card in answer["items"]] == ["5", "nobody-knows", "3"]
    assert [entry["stage"] for entry in answer["degraded"]] == ["retrieval", "ranking"]


async def test_catalog_outlives_features(client: httpx.AsyncClient, peers: Peers) -> None:
    await peers.down("features")
    assert len((await client.get("/v1/latest", params={"n": 100})).json()["items"]) == len(ITEMS)
    assert (await client.get("/v1/items/318")).status_code == 200
    response = await client.get("/v1/users/1")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")


async def test_readiness_names_the_peers(client: httpx.AsyncClient, peers: Peers) -> None:
    await peers.down("ranker")
    answer = (await client.get("/health/ready")).json()
    assert answer["status"] == "ready"
    assert "does not answer" in answer["peers"]["ranker"]
