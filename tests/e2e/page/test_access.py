"""Who may use the page, with a cookie or a key; and that /docs needs nothing from elsewhere."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from services.gateway.keys import ApiKeys
from tests.e2e.page.conftest import Visit, Witness
from tests.e2e.page.steps import KNOWN, arrived, asked_again, cards_of, ids_of

pytestmark = pytest.mark.e2e


def test_key_in_the_address_is_taken_once(visit: Visit, base_url: str, keys: ApiKeys) -> None:
    with_key: list[str | None] = []
    page = visit()
    page.on("request", lambda request: with_key.append(request.headers.get("x-api-key")))
    page.goto("about:blank")
    page.goto(f"{base_url}/#key={keys.read}&user=7")
    expect(page.locator("#list-title")).to_have_text("Recommended for user 7")
    assert "#" not in page.url
    assert keys.read in with_key


def test_wrong_key_is_asked_for_again(visit: Visit, witness: Witness, keys: ApiKeys) -> None:
    witness.tolerated = "401"
    page = visit("#key=wrong")
    expect(page.locator(".notice")).to_contain_text("The key was not accepted.")
    page.get_by_label("API key").fill(keys.read)
    page.get_by_label("API key").press("Enter")
    arrived(page)
    expect(page.locator(".notice")).to_have_count(0)


def test_read_key_may_look_but_not_act(visit: Visit, witness: Witness, keys: ApiKeys) -> None:
    witness.tolerated = "403"
    page = arrived(visit(f"#key={keys.read}&user=42"))
    before = ids_of(page)
    cards_of(page).first.get_by_role("button", name=re.compile("^Like ")).click()
    expect(page.get_by_role("alert")).to_contain_text("it needs the write key")
    assert ids_of(page) == before
    page.get_by_role("button", name="Use another key").click()
    expect(page.get_by_label("API key")).to_be_visible()


def test_stale_cookie_is_renewed_silently(visit: Visit, witness: Witness, base_url: str) -> None:
    witness.tolerated = "401"
    page = arrived(visit(KNOWN))
    context = page.context
    (cookie,) = context.cookies(f"{base_url}/v1/popular")
    context.clear_cookies()
    context.add_cookies([{"name": cookie["name"], "value": "stale", "url": f"{base_url}/v1/"}])
    asked_again(page)
    expect(page.locator(".notice:not(.degraded)")).to_have_count(0)
    arrived(page)


def test_description_needs_nothing_from_elsewhere(visit: Visit) -> None:
    page = visit("docs")
    expect(page.locator(".opblock").first).to_be_visible()
    page.locator(".opblock-summary-control").first.click()
    expect(page.get_by_role("button", name="Try it out")).to_be_visible()
