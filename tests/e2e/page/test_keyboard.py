"""The page without a mouse."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.page.conftest import Visit
from tests.e2e.page.steps import FRESH, KNOWN, SHOWN, arrived, cards_of, ids_of

pytestmark = pytest.mark.e2e

MOST_TABS = 60


def tab_to(page: Page, selector: str) -> None:
    for _ in range(MOST_TABS):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"{MOST_TABS} tabs do not lead to {selector}.")


def box_of_focused_card(page: Page) -> dict[str, int]:
    box: dict[str, int] = page.locator("li.card:focus-within").evaluate(
        "card => ({ left: card.offsetLeft, place: [...card.parentElement.children].indexOf(card) })"
    )
    return box


def test_keyboard_alone_is_enough(visit: Visit, newcomer: str) -> None:
    page = visit(KNOWN)
    expect(cards_of(page)).to_have_count(SHOWN)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the recommendations")).to_be_focused()
    tab_to(page, "#user-id")
    page.keyboard.press("Control+A")
    page.keyboard.type(newcomer)
    page.keyboard.press("Enter")
    expect(page.locator("#list-title")).to_have_text(f"Recommended for user {newcomer}")
    arrived(page)
    tab_to(page, "li.card *")
    first = cards_of(page).first.locator("button.title")
    expect(first).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(cards_of(page).nth(1).locator("button.title")).to_be_focused()
    second = box_of_focused_card(page)
    page.keyboard.press("ArrowDown")
    below = box_of_focused_card(page)
    assert (below["left"], below["place"] > second["place"] + 1) == (second["left"], True)
    page.keyboard.press("ArrowUp")
    expect(cards_of(page).nth(1).locator("button.title")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    watched = ids_of(page)[1]
    page.keyboard.press("w")
    expect(page.locator("#status")).to_contain_text(FRESH)
    assert watched not in ids_of(page)
    expect(page.locator("#cards :focus")).to_have_count(1)
    hidden = page.locator("li.card:focus-within").get_attribute("data-item")
    page.keyboard.press("h")
    expect(page.locator("#status")).to_contain_text("It will not come back.")
    assert hidden not in ids_of(page)


def test_letters_in_a_field_act_on_nothing(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_label("User id").fill("")
    page.get_by_label("User id").press_sequentially("whl")
    assert [url for url in asked if url.endswith("/v1/events")] == []
