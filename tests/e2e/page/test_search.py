"""Asking in words: what is found, how the words were read, and the way back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Route, expect

from tests.e2e.page.conftest import Visit
from tests.e2e.page.steps import FRESH, KNOWN, SENTENCE, SHOWN, arrived, cards_of, ids_of, searched

pytestmark = pytest.mark.e2e

FOUND = 5


def answered(**changed: Any) -> Callable[[Route], None]:
    """Lets answers to a search arrive with other fields; those of `query` are put into it."""

    def change(route: Route) -> None:
        response = route.fetch()
        answer = response.json()
        query = answer["query"] | changed.get("query", {})
        route.fulfill(response=response, json=answer | changed | {"query": query})

    return change


def test_sentence_is_read_and_its_items_are_shown_in_order(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    answer = searched(page)
    expect(page.locator("#list-title")).to_have_text(f"“{SENTENCE}” for user 42")
    assert ids_of(page) == [item["item_id"] for item in answer["items"]]
    expect(cards_of(page)).to_have_count(FOUND)
    read = {
        str(piece.get_attribute("data-kind")): piece.locator("b").inner_text() for piece in page.locator(".piece").all()
    }
    assert read == {"genre": "Comedy", "unwanted": "Horror", "years": "1990–1999", "count": "5"}
    expect(page.locator(".understood")).to_contain_text("Read by rule, in")
    for facts in cards_of(page).locator(".facts").all_inner_texts():
        assert re.match(r"199\d · .*Comedy", facts)
    expect(page.locator("#funnel [data-step=shown]")).to_contain_text(str(FOUND))


@pytest.mark.parametrize("way", ["Escape", "button"])
def test_there_is_a_way_back_to_the_recommendations(visit: Visit, way: str) -> None:
    page = arrived(visit(KNOWN))
    searched(page)
    if way == "Escape":
        page.get_by_label("Ask in words").press("Escape")
        expect(page.get_by_label("Ask in words")).to_be_focused()
    else:
        page.get_by_role("button", name="Back to recommendations").click()
    expect(page.locator("#list-title")).to_have_text("Recommended for user 42")
    expect(cards_of(page)).to_have_count(SHOWN)
    expect(page.locator(".piece")).to_have_count(0)
    expect(page.get_by_label("Ask in words")).to_have_value("")
    expect(page.get_by_role("button", name="Back to recommendations")).to_be_hidden()


def test_words_stay_while_the_person_changes(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    searched(page)
    with page.expect_request("**/v1/search") as asked:
        page.get_by_role("group", name="Sample users").get_by_role("button", name="318").click()
    assert (asked.value.post_data_json or {})["user_id"] == "318"
    expect(page.locator("#list-title")).to_have_text(f"“{SENTENCE}” for user 318")


def test_event_on_a_found_card_names_the_search(visit: Visit, newcomer: str) -> None:
    page = arrived(visit(f"#user={newcomer}"))
    answer = searched(page)
    with page.expect_request("**/v1/events") as asked:
        cards_of(page).nth(1).get_by_role("button", name=re.compile("^Watch ")).click()
    (event,) = (asked.value.post_data_json or {})["events"]
    assert (event["recommendation_id"], event["position"]) == (answer["recommendation_id"], 2)
    assert event["item_id"] == answer["items"][1]["item_id"]
    expect(page.locator("#status")).to_contain_text(FRESH)
    expect(page.locator("#list-title")).to_contain_text(SENTENCE)


def test_hidden_item_is_not_found_again(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    page.get_by_role("button", name="A new visitor").click()
    arrived(page)
    searched(page)
    hidden = ids_of(page)[0]
    cards_of(page).first.get_by_role("button", name=re.compile("^Hide ")).click()
    expect(page.locator("#status")).to_contain_text("It left the list at once. It will not come back.")
    assert hidden not in ids_of(page)
    expect(cards_of(page)).to_have_count(FOUND)


def test_found_card_opens_its_details(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    searched(page)
    title = cards_of(page).first.locator("button.title")
    name = title.inner_text()
    title.click()
    expect(page.get_by_role("dialog", name=name).locator(".similar button").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#list-title")).to_contain_text(SENTENCE)


def test_slash_leads_to_the_field_and_is_a_letter_in_it(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    cards_of(page).first.locator("button.title").focus()
    page.keyboard.press("/")
    field = page.get_by_label("Ask in words")
    expect(field).to_be_focused()
    page.keyboard.type("w/l")
    expect(field).to_have_value("w/l")


def test_what_a_model_read_and_what_was_given_up_is_told(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    query = {
        "genres": ["Crime", "Thriller"],
        "any_genre": True,
        "not_genres": [],
        "years": [None, 1949],
        "not_years": [[1940, 1945], [1948, 1948]],
        "spans": [{"start": 0, "end": 4, "kind": "years", "value": "-1949"}],
        "like": ["Matrix, The (1999)"],
        "by_model": True,
        "given_up": "Any year will do.",
    }
    page.route("**/v1/search", answered(query=query))
    searched(page)
    understood = page.locator(".understood")
    expect(understood.locator(".genre")).to_have_text("any of Crime, Thriller")
    expect(understood.locator(".years")).to_have_text("years until 1949")
    expect(understood.locator(".unwanted")).to_have_text(["not 1940–1945", "not 1948"])
    expect(understood.locator(".like")).to_have_text("like The Matrix")
    expect(understood).to_contain_text("the model chose Crime, Thriller.")
    expect(understood).to_contain_text("Nothing fits all of it. Any year will do.")


def test_nothing_found_is_a_sentence_with_a_way_out(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    page.route("**/v1/search", answered(items=[]))
    searched(page)
    empty = page.locator("#cards .empty")
    expect(empty).to_contain_text(f"Nothing was found for “{SENTENCE}”")
    empty.get_by_role("button", name="Back to recommendations").click()
    expect(page.locator("#list-title")).to_have_text("Recommended for user 42")
    expect(cards_of(page)).to_have_count(SHOWN)


def test_search_that_fails_can_be_tried_again(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    problem = {"detail": "retrieval did not answer in time.", "status": 503}
    page.route("**/v1/search", lambda route: route.fulfill(status=503, json=problem), times=1)
    page.get_by_label("Ask in words").fill(SENTENCE)
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("alert")).to_contain_text("retrieval did not answer in time.")
    expect(page.locator("#list-title")).to_contain_text(SENTENCE)
    page.get_by_role("button", name="Try again").click()
    expect(cards_of(page)).to_have_count(FOUND)
    expect(page.get_by_role("alert")).to_have_count(0)
