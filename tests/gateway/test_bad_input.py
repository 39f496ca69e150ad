"""Whatever people send, the answer is a problem document that names the field."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import httpx
import pytest

from services.gateway.problems import MOST_ERRORS
from tests.gateway.conftest import READ, Opened
from tests.gateway.peers import Peers, until

RECOMMEND, EVENTS, RANK = "/v1/recommendations", "/v1/events", "/v1/rank"
EVENT = {"event_id": "bad-1", "type": "click", "user_id": "1", "item_id": "318"}

BODIES: list[tuple[str, Any, int, str]] = [
    (RECOMMEND, {"n": "ten"}, 422, "n"),
    (RECOMMEND, {"n": 0}, 422, "n"),
    (RECOMMEND, {"n": -1}, 422, "n"),
    (RECOMMEND, {"n": 100_000}, 422, "n"),
    (RECOMMEND, {"n": True}, 422, "n"),
    (RECOMMEND, {"n": 2.5}, 422, "n"),
    (RECOMMEND, {"amount": 10}, 422, "amount"),
    (RECOMMEND, {"filter": {"kategory": "Drama"}}, 422, "filter.kategory"),
    (RECOMMEND, {"user_id": "x" * 10_000}, 422, "user_id"),
    (RECOMMEND, {"user_id": ""}, 422, "user_id"),
    (RECOMMEND, {"user_id": "a\u0000b"}, 422, "user_id"),
    (RECOMMEND, {"user_id": "a\u2028b"}, 422, "user_id"),
    (RECOMMEND, {"user_id": {"a": 1}}, 422, "user_id"),
    (RECOMMEND, {"exclude": ["1", "b\u0007"]}, 422, "exclude.1"),
    (RECOMMEND, {"candidates": []}, 422, "candidates"),
    (RECOMMEND, {"candidates": ["1"] * 1001}, 422, "candidates"),
    (RECOMMEND, {"surface": "no such place"}, 422, "surface"),
    (RECOMMEND, {"deadline_ms": 5}, 422, "deadline_ms"),
    (RECOMMEND, {"explain": "yes"}, 422, "explain"),
    (RECOMMEND, [], 422, "body"),
    (RECOMMEND, None, 422, "body"),
    (RANK, {"user_id": "1"}, 422, "candidates"),
    (EVENTS, {}, 422, "events"),
    (EVENTS, {"events": []}, 422, "events"),
    (EVENTS, {"events": [EVENT] * 1001}, 422, "events"),
    (EVENTS, {"events": ["click"]}, 422, "events.0"),
    (EVENTS, {"events": [EVENT | {"ts": "9999-12-31T23:59:59Z"}]}, 422, "events.0.ts"),
    (EVENTS, {"events": [EVENT | {"ts": "1969-12-31T23:59:59Z"}]}, 422, "events.0.ts"),
    (EVENTS, {"events": [EVENT | {"ts": 0}]}, 422, "events.0.ts"),
    (EVENTS, {"events": [EVENT | {"ts": 10**30}]}, 422, "events.0.ts"),
    (EVENTS, {"events": [EVENT | {"ts": "0001-01-01T00:00:00+23:59"}]}, 422, "events.0.ts"),
    (EVENTS, {"events": [EVENT | {"ts": "2024-05-01T12:00:00"}]}, 422, "events.0.ts"),
    (EVENTS, {"events": [EVENT | {"ts": "yesterday"}]}, 422, "events.0.ts"),
    (EVENTS, {"events": [EVENT | {"value": 1e300}]}, 422, "events.0.value"),
    (EVENTS, {"events": [EVENT | {"value": "4"}]}, 422, "events.0.value"),
    (EVENTS, {"events": [EVENT | {"type": "sneeze"}]}, 422, "events.0.type"),
    (EVENTS, {"events": [EVENT | {"colour": "red"}]}, 422, "events.0.colour"),
    (EVENTS, {"events": [EVENT | {"position": 0}]}, 422, "events.0.position"),
    (EVENTS, {"events": [EVENT | {"properties": {"a": None}}]}, 422, "events.0.properties.a"),
    (EVENTS, {"events": [{**EVENT, "user_id": None}]}, 422, "events.0.user_id"),
    (EVENTS, {"events": [EVENT | {"event_id": "x" * 10_000}]}, 422, "events.0.event_id"),
]

RAW: list[tuple[str, bytes, int, str]] = [
    (RECOMMEND, b"not json", 400, "body"),
    (RECOMMEND, b"{", 400, "body"),
    (RECOMMEND, b"\xff\xfe\xfa", 400, "body"),
    (RECOMMEND, b"[" * 100_000, 400, "body"),
    (RECOMMEND, b'{"n": NaN}', 422, "n"),
    (RECOMMEND, b'{"user_id": "\\ud800"}', 422, "user_id"),
    (RECOMMEND, b"x" * 1_100_000, 413, "body"),
    (EVENTS, b'{"events": [{"event_id": "1", "type": "like", "user_id": "1", "item_id": "1", "value": NaN}]}',
     422, "events.0.value"),
    (EVENTS, b'{"events": [{"event_id": "1", "type": "like", "user_id": "1", "item_id": "1", "value": -Infinity}]}',
     422, "events.0.value"),
    (EVENTS, b'{"events": [{"event_id": "1", "type": "like", "user_id": "1", "item_id": "1", "ts": Infinity}]}',
     422, "events.0.ts"),
]  # fmt: skip

ADDRESSES: list[tuple[str, str, int, str]] = [
    ("GET", "/v1/users/1/recommendations?n=ten", 422, "n"),
    ("GET", "/v1/users/1/recommendations?n=0", 422, "n"),
    ("GET", "/v1/users/1/recommendations?n=100000", 422, "n"),
    ("GET", "/v1/users/1/recommendations?amount=3", 422, "amount"),
    ("GET", "/v1/users/" + "x" * 10_000 + "/recommendations", 422, "user_id"),
    ("GET", "/v1/users/a%00b", 422, "user_id"),
    ("GET", "/v1/items/%1B", 422, "item_id"),
    ("GET", "/v1/items/318/similar?n=-3", 422, "n"),
    ("GET", "/v1/popular?segment=gender", 422, "segment.0"),
    ("GET", "/v1/requests/none-such/trace", 404, "recommendation_id"),
    ("GET", "/v1/items/999999", 404, "item_id"),
    ("GET", "/v1/users/999999", 404, "user_id"),
    ("DELETE", "/v1/items/" + "9" * 300, 422, "item_id"),
]


def assert_problem(response: httpx.Response, status: int, field: str | None) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert {"type", "title", "detail", "errors"} <= set(problem)
    assert len(problem["detail"]) < 2000
    if field is not None:
        assert field in [error["field"] for error in problem["errors"]]


@pytest.mark.parametrize(("path", "body", "status", "field"), BODIES)
async def test_wrong_body_names_its_field(
    client: httpx.AsyncClient, path: str, body: Any, status: int, field: str
) -> None:
    assert_problem(await client.post(path, json=body), status, field)


@pytest.mark.parametrize(("path", "content", "status", "field"), RAW)
async def test_unreadable_body_is_refused(
    client: httpx.AsyncClient, path: str, content: bytes, status: int, field: str
) -> None:
    headers = {"content-type": "application/json"}
    assert_problem(await client.post(path, content=content, headers=headers), status, field)


@pytest.mark.parametrize(("method", "address", "status", "field"), ADDRESSES)
async def test_wrong_address_names_its_part(
    client: httpx.AsyncClient, method: str, address: str, status: int, field: str
) -> None:
    assert_problem(await client.request(method, address), status, field)


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/items/7", {}, "title"),
        ("/v1/items/7", {"title": "x", "year": "then"}, "year"),
        ("/v1/items/7", {"title": "x", "genres": ["A|B"]}, "genres.0"),
        ("/v1/items/7", {"title": "x", "created_at": "9999-01-01T00:00:00Z"}, "created_at"),
        ("/v1/items/7", {"title": "a\nb"}, "title"),
        ("/v1/users/7", {}, "profile"),
        ("/v1/users/7", {"profile": {"no spaces": "x"}}, "profile.no spaces.[key]"),
        ("/v1/users/7", {"profile": {"age": None}}, "profile.age"),
    ],
)
async def test_wrong_record_names_its_field(client: httpx.AsyncClient, path: str, body: Any, field: str) -> None:
    assert_problem(await client.put(path, json=body), 422, field)


async def test_body_that_grows_over_the_limit_while_it_is_read_is_refused(client: httpx.AsyncClient) -> None:
    async def chunks() -> Any:
        for _ in range(20):
            yield b"x" * 100_000

    headers = {"content-type": "application/json"}
    assert_problem(await client.post(RECOMMEND, content=chunks(), headers=headers), 413, None)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (RECOMMEND, {"k" * 100_000: 1}),
        (RECOMMEND, {f"key{number}": 1 for number in range(20_000)}),
        (RECOMMEND, {"exclude": [""] * 1000}),
        (EVENTS, {"events": [EVENT | {"z" * 5000: 1}] * 150}),
        (EVENTS, {"events": [EVENT | {"ts": "x"}] * 1000}),
    ],
)
async def test_a_refusal_stays_short_whatever_was_sent(client: httpx.AsyncClient, path: str, body: Any) -> None:
    response = await client.post(path, json=body)
    assert_problem(response, 422, None)
    problem = response.json()
    assert problem["errors"]
    assert all(len(error["field"]) < 500 for error in problem["errors"])
    assert len(problem["errors"]) <= MOST_ERRORS


async def test_an_id_of_the_wrong_length_is_told_in_characters(client: httpx.AsyncClient) -> None:
    for user_id, sentence in (("", "at least 1 character"), ("x" * 257, "at most 256 characters")):
        response = await client.post(RECOMMEND, json={"user_id": user_id})
        assert sentence in response.json()["errors"][0]["message"]


async def test_json_under_another_content_type_is_told_so(client: httpx.AsyncClient) -> None:
    response = await client.post(RECOMMEND, content=b'{"n": 3}', headers={"content-type": "text/plain"})
    assert_problem(response, 422, "body")
    assert "Content-Type: application/json" in response.json()["detail"]


async def test_unknown_addresses_and_methods_are_problems_too(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/nowhere"), 404, None)
    assert_problem(await client.delete("/v1/popular"), 405, None)


@pytest.mark.parametrize("headers", [{}, {"X-API-Key": ""}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer wrong"}])
async def test_missing_or_wrong_key_is_refused(client: httpx.AsyncClient, headers: dict[str, str]) -> None:
    del client.headers["X-API-Key"]
    response = await client.post(RECOMMEND, json={}, headers=headers)
    assert_problem(response, 401, "X-API-Key")
    assert response.headers["WWW-Authenticate"] == "Bearer"


async def test_read_key_reads_and_does_not_write(client: httpx.AsyncClient) -> None:
    del client.headers["X-API-Key"]
    for headers in ({"X-API-Key": READ}, {"Authorization": f"Bearer {READ}"}, {"Authorization": f"bearer {READ}"}):
        assert (await client.post(RECOMMEND, json={}, headers=headers)).status_code == 200
        assert (await client.post(RANK, json={"candidates": ["1"]}, headers=headers)).status_code == 200
        assert_problem(await client.post(EVENTS, json={"events": [EVENT]}, headers=headers), 403, "X-API-Key")
        assert_problem(await client.delete("/v1/items/1", headers=headers), 403, "X-API-Key")


async def test_health_metrics_and_documents_need_no_key(client: httpx.AsyncClient) -> None:
    del client.headers["X-API-Key"]
    for path in ("/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json"):
        assert (await client.get(path)).status_code == 200, path


async def test_too_many_at_once_are_told_to_come_back(opened: Opened, peers: Peers) -> None:
    async def first_is_being_served() -> bool:
        return bool(peers.features.switches.requests)

    peers.features.switches.slow = True
    async with opened(concurrent_requests=1) as client:
        first = asyncio.create_task(client.post(RECOMMEND, json={"user_id": "1"}))
        await until(first_is_being_served)
        second = await client.post(RECOMMEND, json={"user_id": "1"})
        assert_problem(second, 429, None)
        assert second.headers["Retry-After"] == "1"
        assert (await first).status_code == 200


ODDITIES: list[Any] = [
    None, True, 0, -1, 7, 2**70, 1.5, float("nan"), float("inf"), "", "1", "ten", "\u0000", "\ud83d", "x" * 300, [],
    [1], ["1", None], [[]], {}, {"a": 1}, {"category": "Drama"}, "2024-05-01T12:00:00Z", "hide", "watch",
]  # fmt: skip
FIELDS = {
    RECOMMEND: ("user_id", "session_id", "surface", "n", "item_id", "candidates", "filter", "exclude", "explain"),
    RANK: ("user_id", "candidates", "surface", "deadline_ms"),
    EVENTS: ("event_id", "type", "user_id", "anonymous_id", "item_id", "value", "ts", "position", "properties"),
}


async def test_no_oddity_makes_the_gateway_fail(client: httpx.AsyncClient) -> None:
    chance = random.Random(7)
    statuses = set()
    for _ in range(300):
        path = chance.choice(list(FIELDS))
        body = {field: chance.choice(ODDITIES) for field in chance.sample(FIELDS[path], chance.randint(1, 4))}
        content = json.dumps({"events": [EVENT, EVENT | body]} if path == EVENTS else body)
        response = await client.post(path, content=content, headers={"content-type": "application/json"})
        statuses.add(response.status_code)
        assert response.status_code in (200, 202, 422), (path, content, response.text)
    assert statuses == {200, 202, 422}
