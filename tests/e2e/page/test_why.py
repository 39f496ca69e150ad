"""The sentence on every card: it comes by itself, nothing waits for it, and it may stay away."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.page.conftest import Visit, Witness
from tests.e2e.page.steps import KNOWN, SHOWN, arrived, asked_again, cards_of

pytestmark = pytest.mark.e2e

STREAM = "**/explanations"
TOLD = "#cards .sentence:not(:empty)"
SAID = re.compile("Phrased by a language model|Said by rule")


def told(page: Page) -> Page:
    """With a sentence on every card: nothing of this list is under way any more."""
    expect(page.locator(TOLD)).to_have_count(SHOWN)
    return page


def boxes(page: Page) -> list[list[float]]:
    found: list[list[float]] = page.locator("li.card, li.card .actions").evaluate_all(
        "all => all.map((each) => { const { x, y, width, height } = each.getBoundingClientRect();"
        " return [x, y, width, height]; })"
    )
    return found


def test_every_card_is_told_why(visit: Visit) -> None:
    page = told(arrived(visit(KNOWN)))
    for card in cards_of(page).all():
        title = card.locator("button.title").inner_text()
        assert title in card.locator(".sentence").inner_text()
        assert SAID.search(card.locator(".sentence").get_attribute("title") or "")
    sentence = cards_of(page).first.locator(".sentence").inner_text().removesuffix("✦").strip()
    cards_of(page).first.locator("button.title").click()
    quoted = page.get_by_role("dialog").locator(".told")
    expect(quoted).to_contain_text(sentence)
    expect(quoted).to_contain_text(SAID)


@pytest.mark.parametrize("width", [360, 1440])
def test_nothing_moves_when_sentences_come(visit: Visit, width: int) -> None:
    page = told(arrived(visit(KNOWN, width=width)))
    held: list[Route] = []
    page.route(STREAM, lambda route: held.append(route))
    with page.expect_request(STREAM):
        asked_again(page)
    expect(cards_of(page)).to_have_count(SHOWN)
    expect(page.locator(TOLD)).to_have_count(0)
    before = boxes(page)
    held[0].continue_()
    told(page)
    assert boxes(page) == before


def test_cards_without_sentences_are_as_good(visit: Visit, witness: Witness) -> None:
    witness.tolerated = "ERR_FAILED"
    page = visit(KNOWN)
    page.route(STREAM, lambda route: route.abort())
    with page.expect_event("requestfailed"):
        asked_again(arrived(page))
    expect(page.locator("#cards.telling")).to_have_count(0)
    expect(page.locator(TOLD)).to_have_count(0)
    expect(page.get_by_role("alert")).to_have_count(0)
    cards_of(page).first.locator("button.title").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.locator(".why")).to_be_visible()
    expect(dialog.locator(".told")).to_have_count(0)


def test_another_turn_ends_the_sentences(visit: Visit) -> None:
    page = told(arrived(visit(KNOWN)))
    page.route(STREAM, lambda route: None, times=1)
    with page.expect_request(STREAM) as asked:
        page.get_by_role("button", name="Ask again").click()
    with page.expect_event("requestfailed", lambda request: request == asked.value) as ended:
        page.get_by_role("button", name="Ask again").click()
    assert "ABORTED" in (ended.value.failure or "")
    told(page)


def test_sentences_are_switched_off_and_stay_off(visit: Visit) -> None:
    page = told(arrived(visit(KNOWN)))
    switch = page.get_by_role("button", name="Why these?")
    expect(switch).to_have_attribute("aria-pressed", "true")
    switch.click()
    expect(page.locator(TOLD).first).to_be_hidden()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.reload()
    arrived(page)
    expect(switch).to_have_attribute("aria-pressed", "false")
    switch.click()
    told(page)
    assert len([url for url in asked if url.endswith("/explanations")]) == 1
