"""The picture of the README, as spans draw it. CASCADE_E2E_SPANS_URL is where tests/e2e/spans.py listens."""

from __future__ import annotations

import os
import secrets

import httpx
import pytest

from tests.e2e.compose import project
from tests.e2e.steps import accepted, event, recommended, shown, until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not os.environ.get("CASCADE_E2E_SPANS_URL"), reason="CASCADE_E2E_SPANS_URL is not set."),
]

SPANS_S = 60.0
"""Spans are exported in batches, events are folded in batches."""
PICTURE = {
    ("gateway", "features"), ("gateway", "retrieval"), ("gateway", "ranker"), ("gateway", "reranker"),
    ("gateway", "ingest"), ("features", "redis"), ("ingest", "redis"),
}  # fmt: skip

IN_CONTAINERS = {("retrieval", "qdrant")}
"""Elsewhere Qdrant's engine is part of retrieval's own process."""


def test_the_edges_of_the_picture_are_seen(client: httpx.Client, newcomer: str) -> None:
    # The caller's sampled traceparent decides, whatever share of requests is traced otherwise.
    client.headers["traceparent"] = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
    url = os.environ["CASCADE_E2E_SPANS_URL"].rstrip("/")
    picture = PICTURE | (IN_CONTAINERS if project() else set())

    def missing() -> set[tuple[str, str]]:
        return picture - {(parent, child) for parent, child in httpx.get(f"{url}/edges", timeout=10.0).json()}

    def drawn() -> bool:
        items = shown(recommended(client, newcomer))
        accepted(client, event(newcomer, items[0]))
        return not missing()

    try:
        until(drawn, "every edge of the picture", SPANS_S)
    except AssertionError:
        pytest.fail(f"Edges that no span tells of: {sorted(missing())}")
