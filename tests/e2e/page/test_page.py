"""The page in a browser, over a stack that runs: whom it is for, what it shows, what a click changes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.page.conftest import Visit
from tests.e2e.page.steps import FRESH, KNOWN, SHOWN, arrived, cards_of, ids_of

pytestmark = pytest.mark.e2e


def test_known_user_sees_cards_with_reasons_and_what_they_watched(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    assert len(set(ids_of(page))) == SHOWN
    expect(page.locator("#list-title")).to_have_text("Recommended for user 42")
    for card in cards_of(page).all():
        assert card.locator("button.title").inner_text().strip()
        assert card.locator(".reason").inner_text().strip()
        assert card.locator(".chip").count() >= 1
        assert card.locator(".actions button").count() == 3
    expect(page.locator(".history li").first).to_be_visible()
    expect(page.locator(".profile")).to_contain_text("gender")


def test_watching_takes_the_item_away_and_changes_the_list(visit: Visit, newcomer: str) -> None:
    page = arrived(visit(f"#user={newcomer}"))
    before = ids_of(page)
    title = cards_of(page).nth(2).locator("button.title").inner_text()
    cards_of(page).nth(2).get_by_role("button", name=re.compile("^Watch ")).click()
    expect(page.locator("#status")).to_contain_text(FRESH)
    after = ids_of(page)
    assert before[2] not in after
    assert after != [item for item in before if item != before[2]]
    assert len(after) == SHOWN
    assert page.locator(".change.came").count() == len(set(after) - set(before)) > 0
    expect(page.locator("#status")).to_contain_text(title)
    expect(page.locator(".history li").first).to_contain_text(title)


def test_like_is_a_top_rating_in_the_history(visit: Visit, newcomer: str) -> None:
    page = arrived(visit(f"#user={newcomer}"))
    cards_of(page).first.get_by_role("button", name=re.compile("^Like ")).click()
    expect(page.locator("#status")).to_contain_text(FRESH)
    expect(page.locator(".history li").first).to_contain_text("5★")


def test_hidden_item_is_gone_for_good(visit: Visit, newcomer: str) -> None:
    page = arrived(visit(f"#user={newcomer}"))
    hidden = ids_of(page)[0]
    cards_of(page).first.get_by_role("button", name=re.compile("^Hide ")).click()
    expect(page.locator("#status")).to_contain_text("It left the list at once. It will not come back.")
    assert hidden not in ids_of(page)
    again = arrived(visit(f"#user={newcomer}"))
    assert hidden not in ids_of(again)
    expect(again.locator(".who")).to_contain_text("1 hidden")


def test_event_says_what_was_shown_where(visit: Visit, newcomer: str) -> None:
    page = arrived(visit(f"#user={newcomer}"))
    identifier = page.locator(".identifier").inner_text()
    item = ids_of(page)[1]
    with page.expect_request("**/v1/events") as asked:
        cards_of(page).nth(1).get_by_role("button", name=re.compile("^Watch ")).click()
    (event,) = (asked.value.post_data_json or {})["events"]
    assert (event["type"], event["user_id"], event["item_id"]) == ("watch", newcomer, item)
    assert (event["recommendation_id"], event["position"]) == (identifier, 2)
    assert event["session_id"]
    assert re.fullmatch(r"[0-9a-f-]{36}", event["event_id"])
    expect(page.locator("#status")).to_contain_text(FRESH)


def test_new_visitor_starts_cold_and_is_remembered(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    page.get_by_role("button", name="A new visitor").click()
    expect(page.locator("#list-title")).to_contain_text("Recommended for visitor")
    arrived(page)
    expect(page.locator("#known")).to_contain_text("Nothing is known of their taste yet.")
    cards_of(page).first.get_by_role("button", name=re.compile("^Watch ")).click()
    expect(page.locator("#status")).to_contain_text(FRESH)
    expect(page.locator(".history li")).to_have_count(1)
    name = page.locator("#list-title").inner_text()
    page.goto(page.url.split("#")[0])
    expect(page.locator("#list-title")).to_have_text(name)


def test_user_is_chosen_by_id_and_by_sample(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    page.get_by_label("User id").fill("7")
    page.get_by_label("User id").press("Enter")
    expect(page.locator("#list-title")).to_have_text("Recommended for user 7")
    page.get_by_role("group", name="Sample users").get_by_role("button", name="318").click()
    expect(page.locator("#list-title")).to_have_text("Recommended for user 318")
    expect(page.locator(".sample[aria-pressed=true]")).to_have_text("318")


def test_title_opens_the_item_and_what_is_like_it(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    title = cards_of(page).first.locator("button.title")
    name = title.inner_text()
    title.click()
    dialog = page.get_by_role("dialog", name=name)
    expect(dialog.locator(".statistics")).to_contain_text("events")
    expect(dialog.locator(".why")).to_contain_text("two towers")
    other = dialog.locator(".similar button").first
    expect(dialog.locator(".similar button")).to_have_count(6)
    other_name = other.inner_text()
    other.click()
    expect(page.get_by_role("dialog", name=other_name)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#details")).to_be_hidden()
    expect(title).to_be_focused()
