"""What tests of the page do and read."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

SHOWN = 12
ATTEMPTS = 20
KNOWN = "#user=42"
SENTENCE = "five funny films from the nineties, no horror"
FRESH = re.compile(r"Your features were fresh after [\d.]+ s")
"""The status once the features show what was done."""


def cards_of(page: Page) -> Locator:
    return page.locator("#cards > li.card:not(.skeleton)")


def ids_of(page: Page) -> list[str]:
    return [str(card.get_attribute("data-item")) for card in cards_of(page).all()]


def arrived(page: Page) -> Page:
    """With the cards and the funnel of their request; asked again while a busy machine degrades it."""
    for _ in range(ATTEMPTS):
        expect(cards_of(page)).to_have_count(SHOWN)
        expect(page.locator("#funnel .comparison tbody tr")).to_have_count(SHOWN)
        if page.locator(".notice.degraded").count() == 0:
            break
        asked_again(page)
    return page


def asked_again(page: Page) -> dict[str, Any]:
    """The trace of a new request whose funnel the page shows."""
    with page.expect_response("**/trace") as told:
        page.get_by_role("button", name="Ask again").click()
    trace: dict[str, Any] = told.value.json()
    expect(page.locator(".identifier")).to_have_text(trace["recommendation_id"])
    return trace


def searched(page: Page, sentence: str = SENTENCE) -> dict[str, Any]:
    """The answer to a sentence, once the page shows it."""
    page.get_by_label("Ask in words").fill(sentence)
    with page.expect_response("**/v1/search") as told:
        page.get_by_label("Ask in words").press("Enter")
    answer: dict[str, Any] = told.value.json()
    expect(page.locator(".identifier")).to_have_text(answer["recommendation_id"])
    return answer
