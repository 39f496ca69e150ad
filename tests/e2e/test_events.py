"""Events of a running stack: what the gateway says, and what comes of them."""

from __future__ import annotations

import httpx
import pytest

from services.gateway.keys import ApiKeys
from tests.e2e.steps import accepted, event, history, post, recommended, shown, trace_of, until

pytestmark = pytest.mark.e2e


def test_a_repeated_event_is_accepted_once(client: httpx.Client, newcomer: str) -> None:
    sent = event(newcomer, shown(recommended(client, newcomer))[0])
    first, again = post(client, sent), post(client, sent, sent)
    assert (first.status_code, first.json()) == (202, {"accepted": 1, "duplicates": 0, "rejected": []})
    assert (again.status_code, again.json()) == (202, {"accepted": 0, "duplicates": 2, "rejected": []})


def test_a_bad_event_is_named_and_its_neighbours_are_taken(client: httpx.Client, newcomer: str) -> None:
    item = shown(recommended(client, newcomer))[0]
    answer = post(client, event(newcomer, item), event(newcomer, item, "stare"), event(newcomer, item, "like"))
    told = answer.json()
    assert (answer.status_code, told["accepted"]) == (202, 2)
    assert [(refused["index"], refused["field"]) for refused in told["rejected"]] == [(1, "type")]


def test_nothing_but_bad_events_is_422(client: httpx.Client, newcomer: str) -> None:
    assert post(client, event(newcomer, "1", "stare")).status_code == 422


def test_the_read_key_may_not_post(base_url: str, keys: ApiKeys, newcomer: str) -> None:
    body = {"events": [event(newcomer, "1")]}
    answer = httpx.post(f"{base_url}/v1/events", json=body, headers={"X-API-Key": keys.read}, timeout=10.0)
    assert answer.status_code == 403


@pytest.mark.parametrize("kind", ["watch", "hide"])
def test_an_item_is_gone_from_the_very_next_answer(client: httpx.Client, newcomer: str, kind: str) -> None:
    before = recommended(client, newcomer)
    item = shown(before)[0]
    accepted(client, event(newcomer, item, kind, recommendation_id=before["recommendation_id"], position=1))
    assert item not in shown(recommended(client, newcomer, 100))


def test_a_watched_item_reaches_the_models_within_the_deadline(client: httpx.Client, newcomer: str) -> None:
    before = recommended(client, newcomer)
    assert trace_of(client, before)["user"]["cold"] is True
    item = shown(before)[0]
    accepted(client, event(newcomer, item, value=5.0, recommendation_id=before["recommendation_id"], position=1))

    def models_saw_it() -> bool:
        user = trace_of(client, recommended(client, newcomer))["user"]
        return item in user["history"] and not user["cold"]

    until(models_saw_it, "an answer made from a history that holds the item")
    assert history(client, newcomer) == [item]
    reasons = {reason for card in recommended(client, newcomer)["items"] for reason in card["reasons"]}
    assert any(reason.startswith("because you watched") for reason in reasons)


def test_a_hidden_item_stays_away_once_features_knows_it(client: httpx.Client, newcomer: str) -> None:
    item = shown(recommended(client, newcomer))[0]
    accepted(client, event(newcomer, item, "hide"))

    def hidden() -> bool:
        return int(trace_of(client, recommended(client, newcomer))["user"]["hidden"]) >= 1

    until(hidden, "a user with a hidden item")
    assert item not in shown(recommended(client, newcomer, 100))
