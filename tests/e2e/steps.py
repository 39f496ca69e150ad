"""What the tests do again and again, as a client does it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx

DEADLINE_S = 30.0
"""How long anything may take that is not a start of a container."""


def recommended(client: httpx.Client, user: str, n: int = 10, **query: Any) -> dict[str, Any]:
    """The answer of GET /v1/users/{user}/recommendations."""
    answer: dict[str, Any] = (
        client.get(f"/v1/users/{user}/recommendations", params={"n": n, **query}).raise_for_status().json()
    )
    return answer


def shown(answer: dict[str, Any]) -> list[str]:
    """Item ids from the top down."""
    return [item["item_id"] for item in answer["items"]]


def listed(client: httpx.Client, path: str, **query: Any) -> list[str]:
    """Item ids of a list that is made for nobody."""
    return shown(client.get(path, params=query).raise_for_status().json())


def genres(client: httpx.Client, item: str) -> set[str]:
    """Of an item of the catalog."""
    return set(client.get(f"/v1/items/{item}").raise_for_status().json()["genres"])


def event(user: str, item: str, kind: str = "watch", **fields: Any) -> dict[str, Any]:
    """An event with an id of its own."""
    return {"event_id": uuid.uuid4().hex, "type": kind, "user_id": user, "item_id": item, **fields}


def post(client: httpx.Client, *events: dict[str, Any]) -> httpx.Response:
    """POST /v1/events."""
    return client.post("/v1/events", json={"events": list(events)})


def accepted(client: httpx.Client, *events: dict[str, Any]) -> None:
    """Posts events of which each must be accepted."""
    answer = post(client, *events)
    assert (answer.status_code, answer.json()["accepted"]) == (202, len(events)), answer.text


def trace_of(client: httpx.Client, answer: dict[str, Any]) -> dict[str, Any]:
    """Why these items."""
    told: dict[str, Any] = client.get(f"/v1/requests/{answer['recommendation_id']}/trace").raise_for_status().json()
    return told


def history(client: httpx.Client, user: str) -> list[str]:
    """Items of the user's history as features knows it, the newest first; empty while it cannot be told."""
    answer = client.get(f"/v1/users/{user}")
    return shown_in(answer.json()["history"]) if answer.status_code == 200 else []


def shown_in(rows: list[dict[str, Any]]) -> list[str]:
    """The item ids of rows."""
    return [row["item_id"] for row in rows]


def until(holds: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Waits for a condition; fails with what was waited for."""
    ends_at = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < ends_at, f"Waited {deadline_s:g} s in vain: {what}"
        time.sleep(0.05)
