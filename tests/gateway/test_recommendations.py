"""A request on its usual way: what the answer says and what the peers are asked."""

from __future__ import annotations

import time

import httpx
import pytest

from services.gateway.identifiers import share_of
from services.runtime.errors import NotFound
from tests.gateway.conftest import Opened
from tests.gateway.films import ITEMS, user_state
from tests.gateway.peers import Peers, until

BEST = sorted(ITEMS, reverse=True)
"""The ranker's order."""


def ids(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [int(card["item_id"]) for card in answer.json()["items"]]


async def test_answer_holds_the_slate_in_ranked_order(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.features.users[1] = user_state(1, seen=(3, 5))
    response = await client.post("/v1/recommendations", json={"user_id": "1", "n": 5})
    answer = response.json()
    assert ids(response) == BEST[:5]
    assert (answer["served_by"], answer["degraded"], answer["surface"]) == ("fresh", [], "home")
    assert answer["model_versions"] == {"two_tower": "7", "ranker": "12"}
    assert answer["experiments"] == [{"key": "ranker", "variant": "champion"}]
    assert set(answer["timings_ms"]) == {"features", "retrieval", "ranking", "reranking", "total"}
    first = answer["items"][0]
    assert first["title"] == f"Film {BEST[0]}"
    assert first["score"] == pytest.approx(BEST[0] / 1000)
    assert first["sources"] == ["two_tower"]
    assert first["reasons"] == ["because you watched Film 5"]
    assert (first["rank"], first["slot"], first["propensity"]) == (1, "ranked", 0.5)
    assert answer["items"][-1]["slot"] == "explore"


async def test_unknown_user_is_served(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/users/nobody-ever-saw-me/recommendations", params={"n": 3})
    assert ids(response) == BEST[:3]
    assert response.json()["served_by"] == "fresh"
    assert response.json()["items"][1]["reasons"] == ["a good place to start"]


async def test_visitor_without_an_id_is_served_without_asking_features(client: httpx.AsyncClient, peers: Peers) -> None:
    assert len(ids(await client.post("/v1/recommendations", json={}))) == 10
    assert peers.features.switches.requests == []


async def test_retrieval_is_told_the_filters(client: httpx.AsyncClient, peers: Peers) -> None:
    body = {"user_id": "1", "item_id": "296", "exclude": ["858", "tt1"], "filter": {"category": ["Drama"]}}
    shown = ids(await client.post("/v1/recommendations", json=body))
    request = peers.retrieval.switches.requests[-1]
    assert request.context_item == 296
    assert request.categories == ["Drama"]
    assert {296, 858} < set(request.exclude)
    assert not {296, 858} & set(shown)


async def test_unknown_context_item_is_kept_and_said(client: httpx.AsyncClient, peers: Peers) -> None:
    response = await client.post("/v1/recommendations", json={"user_id": "1", "item_id": "999999"})
    assert response.json()["unknown_items"] == ["999999"]
    assert peers.retrieval.switches.requests[-1].context_item == 999999


async def test_guard_removes_what_a_source_should_not_have_proposed(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.retrieval.leaky = True
    peers.features.users[1] = user_state(1, seen=(858,), hidden=(318,))
    response = await client.post("/v1/recommendations", json={"user_id": "1", "n": 5, "exclude": ["296"]})
    assert ids(response) == [40, 39, 38, 37, 36]


async def test_listed_items_are_ranked_and_unknown_ones_keep_their_place(client: httpx.AsyncClient) -> None:
    listed = ["1", "nobody-knows", "318", "2"]
    response = await client.post("/v1/rank", json={"user_id": "1", "candidates": listed})
    answer = response.json()
    assert [card["item_id"] for card in answer["items"]] == ["318", "nobody-knows", "2", "1"]
    assert [card["score"] is None for card in answer["items"]] == [False, True, False, False]
    assert answer["unknown_items"] == ["nobody-knows"]


async def test_rank_keeps_seen_items_and_drops_hidden_ones(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.features.users[1] = user_state(1, seen=(1, 2), hidden=(2,))
    response = await client.post("/v1/rank", json={"user_id": "1", "candidates": ["1", "2", "3"]})
    assert ids(response) == [3, 1]


async def test_candidates_of_a_recommendation_honour_what_was_seen(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.features.users[1] = user_state(1, seen=(1,))
    response = await client.post("/v1/recommendations", json={"user_id": "1", "candidates": ["1", "2", "3"]})
    assert ids(response) == [3, 2]


async def test_explain_adds_source_scores_and_features(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/recommendations", json={"user_id": "1", "explain": True, "n": 1})
    explain = response.json()["items"][0]["explain"]
    assert explain["features"] == {"size": pytest.approx(0.858)}
    assert set(explain["source_scores"]) == {"two_tower"}


async def test_experiment_gives_its_share_the_challenger(opened: Opened, peers: Peers) -> None:
    async with opened(challenger_share=0.5) as client:
        for user in range(1, 21):
            answer = (await client.post("/v1/recommendations", json={"user_id": str(user)})).json()
            variant = "challenger" if share_of("release", user) < 0.5 else "champion"
            assert answer["experiments"] == [{"key": "ranker", "variant": variant}]
            assert answer["model_versions"]["ranker"] == {"challenger": "13", "champion": "12"}[variant]
    assert {request.model for request in peers.ranker.switches.requests} == {"champion", "challenger"}


async def test_missing_challenger_leaves_the_champion(opened: Opened, peers: Peers) -> None:
    peers.ranker.challenger = NotFound("There is no challenger.")
    async with opened(challenger_share=1) as client:
        answer = (await client.post("/v1/recommendations", json={"user_id": "1"})).json()
    assert answer["served_by"] == "fresh"
    assert answer["experiments"] == [{"key": "ranker", "variant": "champion"}]


async def test_request_id_reaches_the_peers_and_comes_back(client: httpx.AsyncClient, peers: Peers) -> None:
    response = await client.post("/v1/recommendations", json={"user_id": "1"}, headers={"X-Request-Id": "abc-1"})
    assert response.headers["X-Request-Id"] == "abc-1"
    assert peers.ranker.switches.metadata[-1]["x-request-id"] == "abc-1"
    traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    response = await client.get("/health/live", headers={"X-Request-Id": "bad id", "traceparent": traceparent})
    assert response.headers["X-Request-Id"] == "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_trace_tells_why_and_why_not(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.retrieval.leaky = True
    peers.features.users[1] = user_state(1, seen=(3,), hidden=(4,))
    answer = (await client.post("/v1/recommendations", json={"user_id": "1", "n": 2})).json()
    trace = (await client.get(f"/v1/requests/{answer['recommendation_id']}/trace")).json()
    assert trace["items"] == answer["items"]
    removed = {(group["reason"], *group["item_ids"]) for group in trace["removed"]}
    assert removed == {("seen", "3"), ("hidden", "4")}
    assert [source["source"] for source in trace["sources"]] == ["two_tower", "popularity"]
    assert trace["rules"][0]["rule"] == "genre_cap"
    assert [c["item_id"] for c in trace["candidates"] if c["shown"]] == ["318", "858"]
    assert len(trace["candidates"]) == len(ITEMS) - 2
    assert trace["user"]["history"] == ["3"]


async def test_old_traces_make_room(opened: Opened) -> None:
    async with opened(traces=2) as client:
        made = [(await client.post("/v1/recommendations", json={})).json()["recommendation_id"] for _ in range(3)]
        found = [(await client.get(f"/v1/requests/{one}/trace")).status_code for one in made]
    assert found == [404, 200, 200]


async def test_lists_leave_out_what_the_user_has_seen(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.features.users[1] = user_state(1, seen=(2,), hidden=(3,))
    query = httpx.QueryParams({"user_id": "1", "n": 3, "exclude": "4"})
    assert ids(await client.get("/v1/popular", params=query)) == [1, 5, 6]
    assert ids(await client.get("/v1/latest", params=query)) == [1, 5, 6]
    assert ids(await client.get("/v1/items/7/similar", params=query)) == [6, 8, 5]


async def test_similar_items_are_of_the_category_asked_for(client: httpx.AsyncClient, peers: Peers) -> None:
    await client.get("/v1/items/7/similar", params={"category": ["Drama", "Action"]})
    assert list(peers.retrieval.switches.requests[-1].categories) == ["Drama", "Action"]


async def test_nobody_without_a_history_is_told_of_their_taste(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.features.users[1] = user_state(1, seen=(2,))
    for user, told in (("1", True), ("nobody-knows-me", False)):
        answer = (await client.post("/v1/rank", json={"user_id": user, "candidates": ["5", "6"]})).json()
        reasons = {reason for item in answer["items"] for reason in item["reasons"]}
        assert ("matches your taste" in reasons) is told


async def test_popular_asks_for_the_segment(client: httpx.AsyncClient, peers: Peers) -> None:
    await client.get("/v1/popular", params={"segment": ["gender:M", "age:25"]})
    assert dict(peers.retrieval.switches.requests[-1].profile) == {"gender": "M", "age": "25"}


async def test_similar_to_nothing_is_not_found(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/items/999999/similar")
    assert response.status_code == 404
    assert response.json()["errors"][0]["field"] == "item_id"


async def test_models_of_both_services_are_listed(client: httpx.AsyncClient, peers: Peers) -> None:
    answer = (await client.get("/v1/models")).json()
    assert [(model["name"], model["version"]) for model in answer["models"]] == [("two_tower", "7"), ("ranker", "12")]
    await peers.down("ranker")

    async def ranker_is_missed() -> bool:
        told = (await client.get("/v1/models")).json()
        return [entry["stage"] for entry in told["degraded"]] == ["ranker"] and len(told["models"]) == 1

    await until(ranker_is_missed)


async def test_another_moment_can_be_asked_about(client: httpx.AsyncClient, peers: Peers) -> None:
    at = "2001-02-03T04:05:06Z"
    assert len(ids(await client.post("/v1/recommendations", json={"user_id": "1", "at": at}))) == 10
    assert peers.retrieval.switches.requests[-1].user.at_ms == 981173106000
    assert peers.ranker.switches.requests[-1].user.at_ms == 981173106000
    answer = await client.get("/v1/users/1/recommendations", params={"at": "981173106001"})
    assert answer.status_code == 200
    assert peers.retrieval.switches.requests[-1].user.at_ms == 981173106001


async def test_without_a_moment_it_is_now(client: httpx.AsyncClient, peers: Peers) -> None:
    before = time.time_ns() // 1_000_000
    await client.post("/v1/recommendations", json={})
    assert before <= peers.retrieval.switches.requests[-1].user.at_ms <= time.time_ns() // 1_000_000


async def test_a_moment_to_come_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/recommendations", json={"at": "2999-01-01T00:00:00Z"})
    assert answer.status_code == 422
    assert "at" in answer.text
