"""Events and impressions on their way to the event log, over the Kafka protocol."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
import pytest

from services.gateway.spelling import microseconds
from services.pb import events_pb2
from services.runtime.ids import to_int
from tests.gateway.conftest import Opened
from tests.gateway.films import user_state
from tests.gateway.log_reader import consumed
from tests.gateway.peers import Peers
from tests.kafka_fixture import running_broker


def event(**fields: Any) -> dict[str, Any]:
    return {"event_id": uuid.uuid4().hex, "type": "click", "user_id": "1", "item_id": "318"} | fields


async def post(client: httpx.AsyncClient, *events: Any) -> httpx.Response:
    return await client.post("/v1/events", json={"events": list(events)})


async def test_accepted_event_is_in_the_log_as_it_was_sent(client: httpx.AsyncClient, kafka_url: str) -> None:
    sent = event(
        user_id="77", item_id="tt-9", type="watch", value=4.5, session_id="s", recommendation_id="r", position=3,
        properties={"device": "tv", "muted": True, "volume": 7}, ts="2024-05-01T12:00:00.000001+02:00",
    )  # fmt: skip
    response = await post(client, sent)
    assert (response.status_code, response.json()) == (202, {"accepted": 1, "duplicates": 0, "rejected": []})
    found = await asyncio.to_thread(
        consumed, kafka_url, "events", events_pb2.Event, lambda e: e.event_id == sent["event_id"]
    )
    key, message = found[0]
    assert key == "77"
    assert (message.type, message.user_id, message.item_id) == ("watch", 77, to_int("tt-9"))
    assert (message.value, message.position, message.session_id, message.recommendation_id) == (4.5, 3, "s", "r")
    assert dict(message.properties) == {"device": "tv", "muted": "true", "volume": "7"}
    assert message.ts_us == microseconds(datetime(2024, 5, 1, 10, 0, 0, 1, tzinfo=UTC))
    assert (message.external_user_id, message.external_item_id) == ("77", "tt-9")


async def test_event_without_a_time_happened_now_and_without_a_value_has_none(
    client: httpx.AsyncClient, kafka_url: str
) -> None:
    sent = event(anonymous_id="visitor", user_id=None)
    before = microseconds(datetime.now(UTC))
    await post(client, sent)
    found = await asyncio.to_thread(
        consumed, kafka_url, "events", events_pb2.Event, lambda e: e.event_id == sent["event_id"]
    )
    key, message = found[0]
    assert before <= message.ts_us <= microseconds(datetime.now(UTC))
    assert not message.HasField("value")
    assert not message.HasField("position")
    assert key == str(message.user_id) == str(to_int("anonymous:visitor"))


async def test_bad_event_does_not_reject_its_neighbours(client: httpx.AsyncClient) -> None:
    response = await post(client, event(), event(item_id=None), event(type="sneeze"), event())
    answer = response.json()
    assert response.status_code == 202
    assert (answer["accepted"], answer["duplicates"]) == (2, 0)
    assert [(entry["index"], entry["field"]) for entry in answer["rejected"]] == [(1, "item_id"), (2, "type")]
    assert answer["rejected"][1]["code"] == "literal_error"


async def test_same_event_id_is_taken_once(client: httpx.AsyncClient) -> None:
    first = event()
    assert (await post(client, first, first)).json() == {"accepted": 1, "duplicates": 1, "rejected": []}
    assert (await post(client, first)).json() == {"accepted": 0, "duplicates": 1, "rejected": []}


@pytest.mark.parametrize("kind", ["hide", "click"])
async def test_next_answer_leaves_out_what_was_just_posted(client: httpx.AsyncClient, kind: str) -> None:
    recommend = {"user_id": "1", "n": 1}
    assert (await client.post("/v1/recommendations", json=recommend)).json()["items"][0]["item_id"] == "858"
    await post(client, event(type=kind, item_id="858"))
    assert (await client.post("/v1/recommendations", json=recommend)).json()["items"][0]["item_id"] == "318"
    other = (await client.post("/v1/recommendations", json={"user_id": "2", "n": 1})).json()
    assert other["items"][0]["item_id"] == "858"
    ranked = (await client.post("/v1/rank", json={"user_id": "1", "candidates": ["858", "1"]})).json()
    assert [card["item_id"] for card in ranked["items"]] == (["1"] if kind == "hide" else ["858", "1"])


async def test_visitor_is_recognised_by_session(client: httpx.AsyncClient) -> None:
    await post(client, event(user_id=None, anonymous_id="v-1", type="hide", item_id="858"))
    for body in ({"anonymous_id": "v-1"}, {"session_id": "v-1"}):
        answer = (await client.post("/v1/recommendations", json=body)).json()
        assert answer["items"][0]["item_id"] == "318"


async def test_impression_carries_the_rows_of_what_was_shown(
    client: httpx.AsyncClient, peers: Peers, kafka_url: str
) -> None:
    peers.features.users[9] = user_state(9, seen=(858,))
    body = {"user_id": "9", "n": 3, "surface": "impressions-test", "session_id": "s-9"}
    answer = (await client.post("/v1/recommendations", json=body)).json()
    identifier = answer["recommendation_id"]
    found = await asyncio.to_thread(
        consumed, kafka_url, "impressions", events_pb2.Impression, lambda i: i.recommendation_id == identifier
    )
    key, impression = found[0]
    assert (key, impression.user_id, impression.surface, impression.session_id) == ("9", 9, "impressions-test", "s-9")
    assert list(impression.item_ids) == [318, 296, 40]
    scores = np.frombuffer(impression.scores, "<f4")
    np.testing.assert_allclose(scores, [0.318, 0.296, 0.04], rtol=1e-6)
    rows = np.frombuffer(impression.features, "<f4").reshape(3, len(impression.feature_columns))
    assert list(impression.feature_columns) == ["size", "mystery"]
    np.testing.assert_array_equal(rows[:, 0], scores)
    assert list(impression.slots) == ["ranked", "ranked", "explore"]
    assert dict(impression.model_versions) == {"two_tower": "7", "ranker": "12"}
    assert dict(impression.experiments) == {"ranker": "champion"}
    assert impression.served_by == "fresh"


async def test_an_answer_for_another_moment_is_no_impression(client: httpx.AsyncClient, kafka_url: str) -> None:
    body = {"user_id": "9", "n": 3, "surface": "moment-test"}
    await client.post("/v1/recommendations", json={**body, "at": "2001-02-03T04:05:06Z"})
    answer = (await client.post("/v1/recommendations", json=body)).json()
    found = await asyncio.to_thread(
        consumed, kafka_url, "impressions", events_pb2.Impression, lambda i: i.surface == "moment-test"
    )
    assert found[0][1].recommendation_id == answer["recommendation_id"]


async def test_the_impression_of_a_search_is_what_was_shown_in_the_order_it_was_shown(
    opened: Opened, peers: Peers, kafka_url: str
) -> None:
    async with opened(search_model_ms=0) as client:
        answer = (await client.post("/v1/search", json={"query": "oldest comedies", "n": 2})).json()
        found = await asyncio.to_thread(
            consumed,
            kafka_url,
            "impressions",
            events_pb2.Impression,
            lambda i: i.recommendation_id == answer["recommendation_id"],
        )
    impression = found[0][1]
    assert [str(item) for item in impression.item_ids] == [item["item_id"] for item in answer["items"]]
    assert len(impression.item_ids) == 2


@pytest.mark.usefixtures("leftovers")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning")
async def test_without_a_broker_and_without_room_nothing_is_accepted_and_a_retry_works(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    # A captured record of a refused connection would keep its socket beyond `leftovers`.
    caplog.set_level("CRITICAL", "kafka")
    sent, hidden = event(), event(type="hide", item_id="858")
    with running_broker() as url:
        async with opened(kafka_url=url, append_ms=1000) as client:
            assert (await post(client, event())).status_code == 202
    async with opened(kafka_url=url, append_ms=300, spool_bytes=0) as client:
        response = await post(client, sent, hidden)
        assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
        assert response.headers["content-type"] == "application/problem+json"
        answer = (await client.post("/v1/recommendations", json={"user_id": "1", "n": 1})).json()
        assert (answer["served_by"], answer["items"][0]["item_id"]) == ("fresh", "858")
        assert (await client.put("/v1/items/7", json={"title": "x"})).status_code == 503
        assert (await client.delete("/v1/items/7")).status_code == 503
        assert (await client.get("/v1/items/7")).json()["title"] == "Film 7"
        with running_broker(int(url.rsplit(":", 1)[1])):
            async with asyncio.timeout(20):
                while (response := await post(client, sent, hidden)).status_code != 202:
                    assert response.status_code == 503
            assert response.json()["accepted"] == 2
