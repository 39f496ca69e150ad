"""The whole stack as its users meet it: real stores, one process per service, REST in front."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import polars as pl
import pytest

from services.local.stack import LocalStack
from services.retrieval.config import SOURCES

DEADLINE_S = 30.0


def until(holds: Callable[[], bool]) -> None:
    """Waits for a condition; fails when it does not come."""
    ends_at = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < ends_at, "The condition did not come in time."
        # Asking without a pause takes the time that a service needs to come back.
        time.sleep(0.05)


def recommended(client: httpx.Client, user: str, n: int = 10) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"/v1/users/{user}/recommendations", params={"n": n}).raise_for_status().json()
    return answer


def fresh(client: httpx.Client, user: str) -> dict[str, Any]:
    """An answer that nothing was missing for, as soon as there is one."""
    answers: list[dict[str, Any]] = []

    def is_fresh() -> bool:
        answers.append(recommended(client, user))
        return bool(answers[-1]["served_by"] == "fresh")

    until(is_fresh)
    return answers[-1]


def shown(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def post(client: httpx.Client, user: str, item: str, kind: str = "watch", **fields: Any) -> str:
    event_id = uuid.uuid4().hex
    event = {"event_id": event_id, "type": kind, "user_id": user, "item_id": item, **fields}
    assert client.post("/v1/events", json={"events": [event]}).status_code == 202
    return event_id


def active_user(world: Path, place: int = 0) -> str:
    """A user with a history, another for each place."""
    events = pl.read_parquet(world / "lake" / "events" / "*.parquet")
    return str(events["user_id"].value_counts(sort=True)["user_id"][20 + place])


def test_a_known_user_gets_fresh_unseen_distinct_items(client: httpx.Client, world: Path) -> None:
    user = active_user(world)
    answer = recommended(client, user)
    events = pl.read_parquet(world / "lake" / "events" / "*.parquet")
    seen = {str(item) for item in events.filter(pl.col("user_id") == int(user))["item_id"]}
    assert (answer["served_by"], answer["degraded"]) == ("fresh", [])
    assert len(set(shown(answer))) == 10
    assert not seen & set(shown(answer))
    assert set(answer["model_versions"]) == {"two_tower", "co_visitation", "popularity", "ease", "ranker"}


def test_an_unknown_user_gets_cold_start_recommendations(client: httpx.Client) -> None:
    answer = recommended(client, "nobody-knows-me")
    assert answer["served_by"] == "fresh"
    assert len(answer["items"]) == 10


def test_an_event_reaches_the_features_and_its_item_is_not_shown_again(client: httpx.Client, world: Path) -> None:
    user = active_user(world, 1)
    item = shown(recommended(client, user))[0]
    post(client, user, item, value=5.0)
    assert item not in shown(recommended(client, user, 100))

    def newest() -> str:
        history = client.get(f"/v1/users/{user}").json()["history"]
        return str(history[0]["item_id"])

    until(lambda: newest() == item)
    assert item not in shown(recommended(client, user, 100))


def test_an_accepted_event_and_the_impression_before_it_are_in_the_lake(client: httpx.Client, world: Path) -> None:
    user = active_user(world, 2)
    answer = recommended(client, user)
    event_id = post(client, user, shown(answer)[2], "click", recommendation_id=answer["recommendation_id"], position=3)

    def rows(table: str, column: str, value: str) -> pl.DataFrame:
        files = [file for file in (world / "lake" / table).rglob("*.parquet") if file.parent.name != table]
        frames = [frame for frame in map(pl.read_parquet, files) if column in frame.columns]
        return pl.concat([frame.filter(pl.col(column) == value) for frame in frames]) if frames else pl.DataFrame()

    until(lambda: rows("events", "event_id", event_id).height == 1)
    until(lambda: rows("impressions", "recommendation_id", answer["recommendation_id"]).height > 0)
    click = rows("events", "event_id", event_id)
    assert click["recommendation_id"].to_list() == [answer["recommendation_id"]]
    assert click["position"].to_list() == [3]


def test_a_put_item_is_listed_and_a_deleted_one_is_gone(client: httpx.Client) -> None:
    body = {"title": "Brand New", "year": 2026, "genres": ["Drama"]}
    assert client.put("/v1/items/brand-new", json=body).status_code == 200
    until(lambda: "brand-new" in shown(client.get("/v1/latest", params={"n": 5}).json()))
    assert client.delete("/v1/items/brand-new").status_code == 204
    assert "brand-new" not in shown(client.get("/v1/latest", params={"n": 20}).json())
    until(lambda: client.get("/v1/items/brand-new").status_code == 404)


def proposed_by(client: httpx.Client, user: str, item: str) -> list[str]:
    """The sources that bring an item among a user's candidates."""
    answer = recommended(client, user)
    trace = client.get(f"/v1/requests/{answer['recommendation_id']}/trace").raise_for_status().json()
    return [source for found in trace["candidates"] if found["item_id"] == item for source in found["sources"]]


def test_a_put_item_is_proposed_for_its_content_and_a_deleted_one_by_nobody(client: httpx.Client, world: Path) -> None:
    user = active_user(world, 4)
    like = client.get(f"/v1/items/{shown(recommended(client, user))[0]}").json()
    body = {"title": "Newcomer", "year": like["year"], "genres": like["genres"], "creators": like["creators"]}
    deleted = {"item_id": "newcomer-1", "delete": True}
    answer = client.post("/v1/items:bulk", content="\n".join(
        json.dumps(line) for line in ({"item_id": "newcomer-1"} | body, {"item_id": "newcomer-2"} | body, deleted)
    )).raise_for_status().json()  # fmt: skip
    assert answer == {"accepted": 3, "rejected": []}
    until(lambda: "two_tower" in proposed_by(client, user, "newcomer-2"))
    assert proposed_by(client, user, "newcomer-1") == []
    assert client.delete("/v1/items/newcomer-2").status_code == 204
    assert proposed_by(client, user, "newcomer-2") == []
    until(lambda: client.get("/v1/items/newcomer-2").status_code == 404)
    assert proposed_by(client, user, "newcomer-2") == []


def test_the_trace_tells_why_these_items_and_why_not_those(client: httpx.Client, world: Path) -> None:
    answer = recommended(client, active_user(world))
    trace = client.get(f"/v1/requests/{answer['recommendation_id']}/trace").json()
    assert {source["source"] for source in trace["sources"]} == set(SOURCES)
    assert "seen" in {group["reason"] for group in trace["removed"]}
    assert [candidate["item_id"] for candidate in trace["candidates"] if candidate["shown"]]


@pytest.mark.parametrize(
    ("victim", "stage"), [("ranker", "ranking"), ("reranker", "reranking"), ("retrieval", "retrieval")]
)
def test_a_killed_service_degrades_answers_until_it_is_back(
    client: httpx.Client, stack: LocalStack, world: Path, victim: str, stage: str
) -> None:
    user = active_user(world)
    pid = stack.pids()[victim]
    os.kill(pid, signal.SIGKILL)
    until(lambda: [entry["stage"] for entry in recommended(client, user)["degraded"]] == [stage])
    answer = recommended(client, user)
    assert len(set(shown(answer))) == 10
    until(lambda: recommended(client, user)["served_by"] == "fresh")
    assert stack.pids()[victim] != pid


def test_killed_features_leave_the_last_known_user(client: httpx.Client, stack: LocalStack, world: Path) -> None:
    user = active_user(world, 3)
    before = set(shown(recommended(client, user)))
    os.kill(stack.pids()["features"], signal.SIGKILL)
    until(lambda: recommended(client, user)["served_by"] == "cache")
    assert before & set(shown(recommended(client, user)))
    until(lambda: recommended(client, user)["served_by"] == "fresh")


def explained(client: httpx.Client, recommendation_id: str) -> list[dict[str, Any]]:
    text = client.get(f"/v1/requests/{recommendation_id}/explanations").raise_for_status().text
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(event) for event in events][:-1]


def test_a_search_finds_what_the_sentence_says(client: httpx.Client, world: Path) -> None:
    items = pl.read_parquet(world / "lake" / "items.parquet")
    genre = items["genres"].explode().value_counts(sort=True)["genres"][0]
    answer = client.post("/v1/search", json={"query": f"five {genre} films", "user_id": active_user(world)}).json()
    assert answer["query"]["genres"] == [genre]
    assert len(answer["items"]) == 5
    assert all(genre in item["genres"] for item in answer["items"])


def test_without_language_models_recommendations_go_on_and_rules_explain_them(
    client: httpx.Client, stack: LocalStack, world: Path
) -> None:
    user = active_user(world, 3)
    fresh(client, user)  # the tests before this one broke other services
    before = stack.pids()["llm"]
    os.kill(before, signal.SIGKILL)
    answer = fresh(client, user)
    told = explained(client, answer["recommendation_id"])
    assert [explanation["item_id"] for explanation in told] == shown(answer)
    assert {explanation["by"] for explanation in told} == {"template"}
    until(lambda: stack.pids().get("llm", before) != before)
