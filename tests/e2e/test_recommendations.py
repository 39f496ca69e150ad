"""Recommendations and lists of a running stack."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.steps import genres, listed, recommended, shown, trace_of, until

pytestmark = pytest.mark.e2e


def test_a_known_user_gets_distinct_items_by_every_model_without_a_degraded_stage(
    client: httpx.Client, known_user: str
) -> None:
    answer = recommended(client, known_user)
    assert (answer["served_by"], answer["degraded"]) == ("fresh", [])
    assert len(set(shown(answer))) == 10
    assert [item["rank"] for item in answer["items"]] == list(range(1, 11))
    assert {"two_tower", "co_visitation", "popularity", "ease", "ranker"} <= set(answer["model_versions"])
    assert {"features", "retrieval", "ranking", "reranking", "total"} <= set(answer["timings_ms"])


@pytest.mark.parametrize("n", [1, 37, 100])
def test_as_many_items_come_as_were_asked_for(client: httpx.Client, known_user: str, n: int) -> None:
    assert len(set(shown(recommended(client, known_user, n)))) == n


def test_two_known_users_get_different_lists(client: httpx.Client, known_user: str) -> None:
    other = "1" if known_user != "1" else "2"
    assert shown(recommended(client, known_user)) != shown(recommended(client, other))


def test_a_newcomer_gets_a_full_list_and_is_told_to_be_cold(client: httpx.Client, newcomer: str) -> None:
    answer = recommended(client, newcomer)
    assert (answer["served_by"], len(set(shown(answer)))) == ("fresh", 10)
    assert trace_of(client, answer)["user"]["cold"] is True


def test_a_category_keeps_only_its_items(client: httpx.Client, known_user: str) -> None:
    wanted = sorted(genres(client, listed(client, "/v1/popular", n=1)[0]))[0]
    items = shown(recommended(client, known_user, 5, category=wanted))
    assert len(items) == 5
    assert all(wanted in genres(client, item) for item in items)


def test_the_item_being_looked_at_shapes_the_list_and_is_not_in_it(client: httpx.Client, known_user: str) -> None:
    context = listed(client, "/v1/popular", n=1)[0]
    answer = recommended(client, known_user, item_id=context)
    assert context not in shown(answer)
    assert trace_of(client, answer)["request"]["context_item"] == context


def test_similar_items_are_others_and_an_unknown_item_is_404(client: httpx.Client) -> None:
    item = listed(client, "/v1/popular", n=1)[0]
    similar = listed(client, f"/v1/items/{item}/similar", n=10)
    assert len(set(similar)) == 10
    assert item not in similar
    assert client.get("/v1/items/nobody-has-this/similar").status_code == 404


def test_popular_and_latest_leave_out_what_their_reader_has_seen(client: httpx.Client, known_user: str) -> None:
    for path in ("/v1/popular", "/v1/latest"):
        items = listed(client, path, n=20, user_id=known_user)
        assert len(set(items)) == 20
        assert set(items).isdisjoint(seen_by(client, known_user))


def seen_by(client: httpx.Client, user: str) -> set[str]:
    answer = client.get(f"/v1/users/{user}").raise_for_status().json()
    return {row["item_id"] for row in answer["history"]}


def test_the_trace_accounts_for_every_item_that_was_shown(client: httpx.Client, known_user: str) -> None:
    answer = recommended(client, known_user)
    trace = trace_of(client, answer)
    assert {candidate["item_id"] for candidate in trace["candidates"] if candidate["shown"]} == set(shown(answer))
    assert {source["source"] for source in trace["sources"]} >= {"two_tower", "co_visitation", "ease", "popularity"}
    assert not [source for source in trace["sources"] if source["error"]]
    removed = {item for group in trace["removed"] for item in group["item_ids"]}
    assert removed.isdisjoint(shown(answer))


def test_a_put_item_is_among_the_latest_and_gone_once_deleted(client: httpx.Client, newcomer: str) -> None:
    item = newcomer.replace("newcomer", "item")
    body = {"title": "A New Thing", "year": 2026, "genres": ["Drama"]}
    assert client.put(f"/v1/items/{item}", json=body).status_code == 200
    try:
        until(lambda: item in listed(client, "/v1/latest", n=5), "the new item among the latest")
    finally:
        assert client.delete(f"/v1/items/{item}").status_code == 204
    assert item not in listed(client, "/v1/latest", n=100)


def test_without_a_key_nothing_is_told(base_url: str, known_user: str) -> None:
    assert httpx.get(f"{base_url}/v1/users/{known_user}/recommendations", timeout=10.0).status_code == 401
