"""Explanations over REST: phrased by the model where it keeps to the facts, by rule where it does not or is away."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import orjson

from services.gateway.explanations.reasons import reasons_of
from services.gateway.nouns import Scores
from services.runtime.errors import TooMany
from tests.gateway.conftest import Opened
from tests.gateway.films import user_state
from tests.gateway.peers import Peers


def events_of(text: str) -> list[tuple[str, dict[str, Any]]]:
    events = [dict(line.split(": ", 1) for line in event.splitlines()) for event in text.strip().split("\n\n")]
    return [(event["event"], orjson.loads(event["data"])) for event in events]


async def explained(client: httpx.AsyncClient, n: int = 3) -> list[dict[str, Any]]:
    answer = (await client.get(f"/v1/users/7/recommendations?n={n}")).json()
    response = await client.get(f"/v1/requests/{answer['recommendation_id']}/explanations")
    assert response.headers["content-type"].startswith("text/event-stream")
    *told, last = events_of(response.text)
    assert last == ("done", {})
    assert [data["item_id"] for _, data in told] == [item["item_id"] for item in answer["items"]]
    return [data for _, data in told]


async def test_the_model_phrases_what_the_ranker_found(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.features.users[7] = user_state(7, seen=(1, 2))
    peers.llm.says = lambda asked: " a film from 1990."
    told = await explained(client)
    assert [(e["by"], e["sentence"]) for e in told] == [
        ("model", f"Because you watched Film 2, you may enjoy Film {e['item_id']}, a film from 1990.") for e in told
    ]
    asked = [request.prompt.rpartition("Sentence: ")[2] for request in peers.llm.switches.requests]
    assert "Because you watched Film 2, you may enjoy Film 858," in asked


async def test_a_sentence_that_says_more_than_the_facts_is_said_by_rule(
    client: httpx.AsyncClient, peers: Peers
) -> None:
    peers.features.users[7] = user_state(7, seen=(1, 2))
    peers.llm.says = lambda asked: " a film by Steven Spielberg."
    for explanation in await explained(client):
        assert explanation["by"] == "template"
        assert explanation["sentence"].startswith(f"Because you watched Film 2: Film {explanation['item_id']} (1990)")


async def test_a_model_that_stands_in_for_another_is_not_shown(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.llm.says, peers.llm.answers_as = (lambda asked: " a film from 1990."), "template"
    assert {explanation["by"] for explanation in await explained(client)} == {"template"}


async def test_without_a_model_a_rule_says_it(client: httpx.AsyncClient, peers: Peers) -> None:
    await peers.down("llm")
    assert {explanation["by"] for explanation in await explained(client)} == {"template"}


async def test_a_model_that_is_busy_or_silent_is_not_waited_for(opened: Opened, peers: Peers) -> None:
    async with opened(explanation_ms=50) as client:
        peers.llm.switches.slow = True
        assert {explanation["by"] for explanation in await explained(client)} == {"template"}
        peers.llm.switches.slow, peers.llm.switches.error = False, TooMany("Full.")
        assert {explanation["by"] for explanation in await explained(client)} == {"template"}


async def test_a_search_is_explained_item_by_item_too(opened: Opened, peers: Peers) -> None:
    peers.features.users[7] = user_state(7, seen=(1, 2))
    async with opened(search_model_ms=0) as client:
        answer = (await client.post("/v1/search", json={"query": "comedies", "user_id": "7", "n": 2})).json()
        response = await client.get(f"/v1/requests/{answer['recommendation_id']}/explanations")
    *told, last = events_of(response.text)
    assert last == ("done", {})
    assert [data["item_id"] for _, data in told] == [item["item_id"] for item in answer["items"]]
    assert len(told) == 2


async def test_a_recommendation_nobody_made_is_not_found(client: httpx.AsyncClient) -> None:
    response = await client.get("/v1/requests/01997a3c-5d1e-7c4b-9f0e-2b6a1f0c7d55/explanations")
    assert response.status_code == 404
    assert response.json()["errors"][0]["field"] == "recommendation_id"


def test_reasons_are_the_features_in_which_an_item_stands_out() -> None:
    features = np.array([[0.9, 3.0, 1.0], [0.1, 3.0, 9.0], [0.1, 3.0, 9.0], [0.1, np.nan, 9.0]], np.float32)
    columns = ("like_rate", "mean_value", "year_distance_history")
    scores = Scores(np.zeros(5, np.float32), features=features, columns=columns, places=np.array([4, 1, 2, 0]))
    assert set(reasons_of(scores, 4)) == {"most of its viewers liked it", "it is from the years you usually watch"}
    assert reasons_of(scores, 1) == ()
    assert reasons_of(scores, 3) == (), "Its feature row was not sent."
