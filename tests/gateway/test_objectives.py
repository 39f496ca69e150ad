"""Objectives by REST: what is told, refused, previewed, and written beside what was shown."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from services.pb import events_pb2
from services.runtime.errors import Unavailable
from tests.gateway.conftest import READ, Opened
from tests.gateway.films import user_state
from tests.gateway.log_reader import consumed
from tests.gateway.peers import Peers

PREVIEW = "/v1/objectives:preview"


@pytest.fixture
def with_heads(peers: Peers) -> Peers:
    """A ranker whose click rises with the id and whose like falls; the click alone counts."""
    peers.ranker.objectives = {"click": 1.0}
    return peers


async def preview(client: httpx.AsyncClient, weights: dict[str, float], **fields: Any) -> httpx.Response:
    return await client.post(PREVIEW, json={"weights": weights, **fields})


async def test_the_heads_are_told_with_what_they_weigh_and_would_by_default(
    client: httpx.AsyncClient, with_heads: Peers
) -> None:
    with_heads.ranker.objectives = {"click": 0.5, "like": 2.0}
    assert (await client.get("/v1/objectives")).json() == {
        "model_version": "12",
        "model_kind": "mmoe",
        "heads": ["click", "like"],
        "weights": {"click": 0.5, "like": 2.0},
        "defaults": {"click": 1.0, "like": 0.0},
    }


async def test_new_weights_are_answered_whole_and_need_the_write_key(client: httpx.AsyncClient) -> None:
    changed = await client.put("/v1/objectives", json={"weights": {"like": 2}})
    assert (changed.status_code, changed.json()["weights"]) == (200, {"click": 0.0, "like": 2.0})
    refused = await client.put("/v1/objectives", json={"weights": {"like": 2}}, headers={"X-API-Key": READ})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (403, "X-API-Key")


@pytest.mark.parametrize(("weights", "field", "sentence"), [
    ({"buy": 1}, "weights", "There is no head 'buy'; there are click, like."),
    ({"click": 0, "like": 0.0}, "weights", "at least one head"),
    ({"click": 101}, "weights.click", "less than or equal to 100"),
    ({"click": "much"}, "weights.click", "valid number"),
    ({}, "weights", "at least 1 item"),
])  # fmt: skip
async def test_weights_that_order_nothing_are_a_422_with_the_field(
    client: httpx.AsyncClient, weights: Any, field: str, sentence: str
) -> None:
    refused = await client.put("/v1/objectives", json={"weights": weights})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
    assert sentence in refused.json()["detail"]


@pytest.mark.parametrize("weight", ["NaN", "Infinity", "1e400"])
async def test_weights_without_an_end_are_refused(client: httpx.AsyncClient, weight: str) -> None:
    body = f'{{"weights": {{"click": {weight}}}}}'
    refused = await client.put("/v1/objectives", content=body, headers={"Content-Type": "application/json"})
    assert refused.status_code in (400, 422)


async def test_a_ranker_with_one_score_says_what_to_promote(client: httpx.AsyncClient) -> None:
    for refused in (await client.get("/v1/objectives"), await preview(client, {"click": 1}, user_id="1")):
        assert refused.status_code == 409
        assert "version 12 (lambdamart)" in refused.json()["detail"]
        assert "Promote a version of kind mmoe" in refused.json()["detail"]


async def test_a_preview_tells_both_lists_what_moved_and_what_is_expected_of_them(
    client: httpx.AsyncClient, with_heads: Peers
) -> None:
    with_heads.features.users[1] = user_state(1, seen=(1, 858))
    answer = (await preview(client, {"like": 1}, user_id="1", n=3)).json()
    assert answer["weights"] == {"before": {"click": 1.0, "like": 0.0}, "after": {"click": 0.0, "like": 1.0}}
    (told,) = answer["users"]
    assert [card["item_id"] for card in told["before"]] == ["318", "296", "40"]
    assert [card["item_id"] for card in told["after"]] == ["2", "3", "4"]
    assert [card["was"] for card in told["after"]] == [None, None, None]
    assert told["left"] == ["318", "296", "40"]
    first = told["after"][0]
    assert (first["title"], first["rank"], first["score"]) == ("Film 2", 1, pytest.approx(0.998))
    assert first["heads"] == {"click": pytest.approx(0.002), "like": pytest.approx(0.998)}
    assert answer["mean"] == told["mean"]
    assert answer["mean"]["before"]["click"] == pytest.approx((318 + 296 + 40) / 3000)
    assert answer["mean"]["after"]["like"] == pytest.approx(0.997)


async def test_who_stays_says_where_it_was(client: httpx.AsyncClient, with_heads: Peers) -> None:
    with_heads.features.users[1] = user_state(1, seen=tuple(range(3, 41)))
    (told,) = (await preview(client, {"like": 1}, user_id="1", n=4)).json()["users"]
    assert [card["item_id"] for card in told["before"]] == ["858", "318", "296", "2"]
    assert [(card["item_id"], card["was"]) for card in told["after"]] == [
        ("1", None), ("2", 4), ("296", 3), ("318", 2)
    ]  # fmt: skip
    assert told["left"] == ["858"]


async def test_a_preview_of_several_users_means_over_all_of_them(client: httpx.AsyncClient, with_heads: Peers) -> None:
    with_heads.features.users[2] = user_state(2, seen=(858,))
    answer = (await preview(client, {"click": 1}, user_ids=["1", "2", "1"], n=1)).json()
    assert [(user["user_id"], user["before"][0]["item_id"]) for user in answer["users"]] == [("1", "858"), ("2", "318")]
    assert answer["mean"]["before"]["click"] == pytest.approx((0.858 + 0.318) / 2)


async def test_a_preview_reads_and_changes_nothing(client: httpx.AsyncClient, with_heads: Peers) -> None:
    before = (await client.get("/v1/objectives")).json()
    made = await client.post(
        PREVIEW, json={"weights": {"like": 1}, "user_id": "1"}, headers={"X-API-Key": READ}
    )  # fmt: skip
    assert made.status_code == 200
    assert (await client.get("/v1/objectives")).json() == before
    assert (await client.post("/v1/recommendations", json={"n": 1})).json()["items"][0]["item_id"] == "858"


async def test_previews_that_cannot_be_made_are_problems_and_no_fallback(
    client: httpx.AsyncClient, with_heads: Peers
) -> None:
    assert (await preview(client, {"buy": 1}, user_id="1")).status_code == 422
    assert (await preview(client, {"click": 1})).json()["detail"].startswith("body: either user_id or user_ids")
    assert (await preview(client, {"click": 1}, user_ids=[str(user) for user in range(21)])).status_code == 422
    with_heads.retrieval.switches.error = Unavailable("no index")
    assert (await preview(client, {"click": 1}, user_id="1")).status_code == 503


async def test_answer_trace_and_impression_say_which_objectives_made_the_list(
    opened: Opened, with_heads: Peers, kafka_url: str
) -> None:
    with_heads.ranker.objectives = {"click": 0.25, "like": 1.0}
    wanted = {"click": 0.25, "like": 1.0}
    async with opened() as client:
        answer = (await client.post("/v1/recommendations", json={"user_id": "77", "n": 2})).json()
        assert [card["item_id"] for card in answer["items"]] == ["1", "2"]
        trace = (await client.get(f"/v1/requests/{answer['recommendation_id']}/trace")).json()
        assert (answer["objectives"], trace["objectives"]) == (wanted, wanted)
    identifier = answer["recommendation_id"]
    ((_, impression),) = await asyncio.to_thread(
        consumed, kafka_url, "impressions", events_pb2.Impression, lambda found: found.recommendation_id == identifier
    )
    assert dict(impression.objectives) == wanted


async def test_a_ranker_with_one_score_has_no_objectives_to_tell(client: httpx.AsyncClient) -> None:
    assert "objectives" not in (await client.post("/v1/recommendations", json={"n": 1})).json()
