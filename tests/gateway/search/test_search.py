"""Search over REST: understood by rule, helped by a model, found by retrieval, in the ranker's order."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from services.gateway.search import Query
from services.gateway.search.finder import in_order
from services.runtime.errors import Unavailable
from tests.gateway.conftest import READ, Opened
from tests.gateway.films import user_state
from tests.gateway.peers import Peers


async def searched(client: httpx.AsyncClient, query: str, **fields: object) -> dict[str, object]:
    response = await client.post("/v1/search", json={"query": query, **fields})
    assert response.status_code == 200, response.text
    answer: dict[str, object] = response.json()
    return answer


def ids(answer: dict[str, object]) -> list[str]:
    items = answer["items"]
    assert isinstance(items, list)
    return [item["item_id"] for item in items]


async def test_what_was_understood_is_asked_of_retrieval(opened: Opened, peers: Peers) -> None:
    async with opened(search_model_ms=0) as client:
        answer = await searched(client, "five comedies from before 1995 with a lighthouse")
    asked = peers.retrieval.switches.requests[0]
    assert (list(asked.genres), asked.year_from, asked.year_to, asked.text) == (["Comedy"], 0, 1994, "lighthouse")
    assert len(ids(answer)) == 5
    query = answer["query"]
    assert isinstance(query, dict)
    assert (query["genres"], query["text"], query["by_model"], query["n"]) == (["Comedy"], "lighthouse", False, 5)


async def test_the_answer_is_in_the_rankers_order_seen_items_too(opened: Opened, peers: Peers) -> None:
    peers.features.users[7] = user_state(7, seen=(858,), hidden=(318,))
    async with opened(search_model_ms=0) as client:
        answer = await searched(client, "comedies", user_id="7", n=3)
    assert ids(answer) == ["858", "296", "40"], "The larger the id, the better; 318 is hidden."
    assert answer["surface"] == "search"
    assert answer["recommendation_id"]


async def test_timings_of_answer_and_trace_tell_what_reading_and_finding_took(client: httpx.AsyncClient) -> None:
    answer = await searched(client, "comedies", user_id="7")
    trace = (await client.get(f"/v1/requests/{answer['recommendation_id']}/trace")).json()
    timings, query = trace["timings_ms"], answer["query"]
    assert isinstance(query, dict)
    assert answer["timings_ms"] == timings
    assert list(timings) == ["reading", "finding", "features", "retrieval", "ranking", "total"]
    assert timings["reading"] == query["milliseconds"]
    assert timings["finding"] > 0
    assert timings["total"] >= sum(timings.values()) - timings["total"] - 0.05, "Each is rounded."


class Films:
    """Three of them."""

    def kinds_of(self, ids: NDArray[np.uint64]) -> list[tuple[int | None, tuple[str, ...]]]:
        return [({1: 1950, 2: 1999, 3: 1980}[number], ()) for number in ids.tolist()]

    def statistics(self, number: int) -> dict[str, float]:
        return {1: {"like_rate": 0.1, "event_count": 5.0}, 2: {"like_rate": 0.2, "event_count": 9.0}}.get(
            number, {"like_rate": 0.3, "event_count": 1.0}
        )


@pytest.mark.parametrize(
    ("query", "order"),
    [
        (Query("films"), [1, 2, 3]),
        (Query("newest films", sort="newest"), [2, 3, 1]),
        (Query("oldest films", sort="oldest"), [1, 3, 2]),
        (Query("the best films", sort="best"), [3, 2, 1]),
        (Query("popular films", sort="popular"), [2, 1, 3]),
        (Query("heat", named=("Heat",)), [3, 1, 2]),
    ],
)
def test_the_sentences_own_order_overrules_the_rankers(query: Query, order: list[int]) -> None:
    ranked = np.array([1, 2, 3], np.uint64)
    assert ranked[in_order(ranked, query, np.array([3, 1, 2], np.uint64), Films())].tolist() == order


async def test_a_model_reads_what_is_left(client: httpx.AsyncClient, peers: Peers) -> None:
    peers.llm.says = lambda asked: (
        '{"genres": ["Drama"], "years": null}' if "lighthouse" in asked else '{"genres": [], "years": null}'
    )
    query = (await searched(client, "a lonely lighthouse keeper"))["query"]
    assert isinstance(query, dict)
    assert (query["genres"], query["by_model"]) == (["Drama"], True)
    assert '"enum":["Action","Comedy","Drama"]' in peers.llm.switches.requests[0].json_schema


async def test_without_a_model_the_rule_reads_alone(client: httpx.AsyncClient, peers: Peers) -> None:
    await peers.down("llm")
    query = (await searched(client, "a lonely lighthouse keeper"))["query"]
    assert isinstance(query, dict)
    assert (query["genres"], query["by_model"]) == ([], False)


async def test_a_model_that_is_silent_is_not_waited_for(opened: Opened, peers: Peers) -> None:
    peers.llm.switches.slow = True
    async with opened(search_model_ms=50) as client:
        assert ids(await searched(client, "a lonely lighthouse keeper"))


async def test_where_nothing_fits_the_wish_is_widened(opened: Opened, peers: Peers) -> None:
    peers.retrieval.finds = lambda request: not request.year_from and not request.genres
    async with opened(search_model_ms=0) as client:
        query = (await searched(client, "war films from 1955"))["query"]
    assert isinstance(query, dict)
    assert query["given_up"]


async def test_without_retrieval_the_caller_is_told(opened: Opened, peers: Peers) -> None:
    peers.retrieval.switches.error = Unavailable("Gone.")
    async with opened(search_model_ms=0) as client:
        response = await client.post("/v1/search", json={"query": "comedies"})
    assert response.status_code == 503
    assert "retrieval" in response.json()["detail"]


@pytest.mark.parametrize("body", [{}, {"query": ""}, {"query": "x" * 401}, {"query": "a", "n": 0}, {"query": 5}])
async def test_a_wrong_field_is_named(client: httpx.AsyncClient, body: dict[str, object]) -> None:
    response = await client.post("/v1/search", json=body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] in ("query", "n")


async def test_a_search_needs_only_the_read_key(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/search", json={"query": "comedies"}, headers={"X-API-Key": READ})
    assert response.status_code == 200
