"""Many items at once, a line each."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import httpx
import pytest

from services.gateway.bulk import MAX_LINES
from services.pb import events_pb2
from services.runtime.eventlog import CATALOG
from services.runtime.ids import to_int
from tests.gateway.conftest import READ, Opened
from tests.gateway.log_reader import consumed

NDJSON = {"Content-Type": "application/x-ndjson"}


async def post(client: httpx.AsyncClient, *lines: Any, **headers: str) -> httpx.Response:
    body = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return await client.post("/v1/items:bulk", content=body.encode(), headers=NDJSON | headers)


async def test_lines_are_put_and_deleted_and_a_bad_one_spoils_no_other(
    client: httpx.AsyncClient, kafka_url: str
) -> None:
    name = uuid.uuid4().hex
    response = await post(
        client,
        {"item_id": name, "title": "Sunrise", "year": 1927, "genres": ["Drama"], "creators": ["F. W. Murnau"]},
        {"item_id": "7"},
        "",
        '{"item_id": ',
        {"item_id": "296", "delete": True},
        {"title": "Nobody"},
        {"item_id": "8", "title": "Eight", "colour": "red"},
        {"item_id": "9", "delete": False},
        ["not", "an", "object"],
    )
    answer = response.json()
    assert (response.status_code, answer["accepted"]) == (200, 2)
    assert [(entry["line"], entry.get("item_id"), entry["field"], entry["code"]) for entry in answer["rejected"]] == [
        (2, "7", "title", "missing"),
        (4, None, "line", "json_invalid"),
        (6, None, "item_id", "missing"),
        (7, "8", "colour", "extra_forbidden"),
        (8, "9", "delete", "literal_error"),
        (9, None, "line", "model_type"),
    ]
    assert answer["rejected"][0]["message"] == "title: Field required."
    assert (await client.get(f"/v1/items/{name}")).json()["creators"] == ["F. W. Murnau"]
    assert (await client.get("/v1/items/296")).status_code == 404
    found = await asyncio.to_thread(
        consumed, kafka_url, CATALOG, events_pb2.CatalogChange, lambda change: change.put_item.item_id == name
    )
    assert found[0][0] == str(to_int(name)) == str(found[0][1].put_item.id)


async def test_nothing_but_bad_lines_is_refused_with_each_reason(client: httpx.AsyncClient) -> None:
    response = await post(client, {"item_id": "7"}, "?")
    problem = response.json()
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert [entry["line"] for entry in problem["rejected"]] == [1, 2]
    assert problem["errors"][0] == {"field": "1.title", "message": "title: Field required."}
    assert (await post(client)).json()["detail"] == "The body has no line with an item."


async def test_a_line_is_checked_as_a_put_is(client: httpx.AsyncClient) -> None:
    bad: list[dict[str, Any]] = [
        {"title": ""}, {"title": "x" * 513}, {"title": "x", "year": "1927"}, {"title": "x", "year": 3001},
        {"title": "x", "genres": ["a|b"]}, {"title": "x", "creators": ["x"] * 65},
        {"title": "x", "created_at": "2999-01-01T00:00:00Z"}, {"title": "\u0000"}, {"title": "x", "item": 1},
    ]  # fmt: skip
    refused = (await post(client, *({"item_id": "7"} | body for body in bad))).json()["rejected"]
    put = [(await client.put("/v1/items/7", json=body)).json()["errors"][0] for body in bad]
    assert [entry["field"] for entry in refused] == [error["field"] for error in put]
    assert [entry["message"] for entry in refused] == [f"{error['field']}: {error['message']}." for error in put]


async def test_more_lines_than_a_batch_are_all_kept_in_their_order(client: httpx.AsyncClient) -> None:
    lines = [{"item_id": f"bulk-{number}", "title": f"Number {number}"} for number in range(1200)]
    answer = (await post(client, *lines, {"item_id": "bulk-7", "delete": True})).json()
    assert answer == {"accepted": 1201, "rejected": []}
    assert (await client.get("/v1/items/bulk-1199")).json()["title"] == "Number 1199"
    assert (await client.get("/v1/items/bulk-7")).status_code == 404


async def test_a_replaced_item_keeps_its_age(client: httpx.AsyncClient) -> None:
    before = (await client.get("/v1/items/7")).json()["created_at"]
    await post(client, {"item_id": "7", "title": "Seven"})
    assert (await client.get("/v1/items/7")).json()["created_at"] == before is not None


async def test_a_body_is_bounded_by_its_bytes_and_by_its_lines(opened: Opened) -> None:
    async with opened(body_bytes=100_000) as client:
        assert (await post(client, *(["1234567890"] * 10_000))).status_code == 413
        refused = await post(client, *(["1"] * (MAX_LINES + 1)))
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (413, "body")


async def test_a_bulk_change_needs_the_write_key(client: httpx.AsyncClient) -> None:
    line = {"item_id": "7", "title": "Seven"}
    assert (await post(client, line, **{"X-API-Key": READ})).status_code == 403


@pytest.mark.usefixtures("leftovers")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning")
async def test_a_log_that_is_away_with_a_full_disk_is_a_503_and_the_catalog_stays(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    # A captured record of a refused connection would keep its socket beyond `leftovers`.
    caplog.set_level("CRITICAL", "kafka")
    async with opened(kafka_url="kafka://127.0.0.1:1", append_ms=100, spool_bytes=0) as client:
        assert (await post(client, {"item_id": "lost", "title": "Lost"})).status_code == 503
        assert (await client.get("/v1/items/lost")).status_code == 404
