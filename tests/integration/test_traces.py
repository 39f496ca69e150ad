"""A request followed through every process of the real stack, as a collector sees it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import httpx

from tests.e2e.spans import Spans
from tests.integration.test_stack import DEADLINE_S

EDGES = {
    ("gateway", "features"),
    ("gateway", "retrieval"),
    ("gateway", "ranker"),
    ("gateway", "reranker"),
    ("gateway", "kafka"),
    ("gateway", "ingest"),
    ("features", "redis"),
    ("ingest", "redis"),
    ("ingest", "lake"),
}
TRACED = "0af7651916cd43dd8448eb211c80319c"
UNTRACED = "4bf92f3577b34da6a3ce929d0e0e4736"


def until(holds: Callable[[], bool], what: Callable[[], object]) -> None:
    ends_at = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < ends_at, f"The spans did not come in time; there are {what()}."
        time.sleep(0.05)


def visit(client: httpx.Client, trace: str, flags: str) -> None:
    """A recommendation and a click on it."""
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-{flags}"}
    answer = client.get("/v1/users/42/recommendations", params={"n": 5}, headers=headers).raise_for_status().json()
    event = {
        "event_id": uuid.uuid4().hex,
        "type": "click",
        "user_id": "42",
        "item_id": answer["items"][0]["item_id"],
        "recommendation_id": answer["recommendation_id"],
        "position": 1,
    }
    client.post("/v1/events", json={"events": [event]}, headers=headers).raise_for_status()


def test_a_trace_shows_who_calls_whom_over_grpc_kafka_and_redis(client: httpx.Client, spans: tuple[Spans, str]) -> None:
    received = spans[0]
    visit(client, UNTRACED, "00")
    visit(client, TRACED, "01")
    until(lambda: received.edges() >= EDGES, received.edges)
    assert {span.trace for span in received.all()} == {TRACED}


def test_spans_bear_no_ids_of_users_and_no_keys(client: httpx.Client, spans: tuple[Spans, str]) -> None:
    received = spans[0]
    visit(client, TRACED, "01")
    until(lambda: bool(received.all()), received.edges)
    names = {name for span in received.all() for name in span.attributes}
    prefixes = ("cascade.", "db.", "error.type", "http.", "messaging.", "peer.service", "rpc.")
    assert not {name for name in names if not name.startswith(prefixes)}
    assert not {name for name in names if "url" in name or "header" in name or "key" in name or "user" in name}
