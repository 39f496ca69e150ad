"""The funnel beside the list tells what the trace tells."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.e2e.page.conftest import Visit
from tests.e2e.page.steps import KNOWN, arrived, asked_again

pytestmark = pytest.mark.e2e

ROUNDING = 0.051
"""Milliseconds are written with one digit after the point, or two."""


def number_in(text: str) -> int:
    found = re.search(r"\d[\d,]*", text)
    assert found is not None, text
    return int(found.group().replace(",", ""))


def numbers_in(text: str) -> list[int]:
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", text)]


def milliseconds_in(place: Locator) -> float:
    return float(place.inner_text().removesuffix(" ms"))


def test_funnel_tells_the_numbers_of_the_trace(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    trace, funnel = asked_again(page), page.locator("#funnel")
    for source in trace["sources"]:
        shown = funnel.locator(f"[data-source={source['source']}] .numbers").inner_text()
        assert numbers_in(shown) == [source["kept"], source["proposed"]]
    for group in trace["removed"]:
        shown = funnel.locator(f"[data-reason='{group['reason']}'] summary").first.inner_text()
        assert number_in(shown) == len(group["item_ids"])
    steps = {str(step.get_attribute("data-step")): step.inner_text() for step in funnel.locator(".shape li").all()}
    assert number_in(steps["proposals"]) == sum(source["proposed"] for source in trace["sources"])
    assert number_in(steps["candidates, all scored"]) == len(trace["candidates"])
    assert number_in(steps["shown"]) == len(trace["items"])
    for rule in trace["rules"]:
        shown = funnel.locator(f"[data-rule={rule['rule']}] .numbers").inner_text()
        assert numbers_in(shown)[-1] == rule["kept"]
    assert milliseconds_in(funnel.locator(".total b")) == pytest.approx(trace["timings_ms"]["total"], abs=ROUNDING)
    for stage in ("features", "retrieval", "ranking", "reranking"):
        took = milliseconds_in(funnel.locator(f".times [data-stage={stage}] .cost"))
        assert took == pytest.approx(trace["timings_ms"][stage], abs=ROUNDING)
    versions = funnel.locator(".versions").inner_text()
    for version in trace["model_versions"].values():
        assert f"version {version}" in versions
    for experiment in trace["experiments"]:
        assert experiment["variant"] in versions


def test_comparison_tells_each_place_before_and_after(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    trace = asked_again(page)
    retrieved = [candidate["item_id"] for candidate in trace["candidates"]]
    ranked = [c["item_id"] for c in sorted(trace["candidates"], key=lambda c: -c["score"])]
    for item in trace["items"]:
        places = page.locator(f".comparison [data-item='{item['item_id']}'] td b").all_inner_texts()
        expected = [retrieved.index(item["item_id"]) + 1, ranked.index(item["item_id"]) + 1, item["rank"]]
        assert [int(place) for place in places] == expected


def test_removed_items_are_named_on_request(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    seen = page.locator("[data-reason=seen]").first
    expect(seen.locator(".names li").first).to_be_hidden()
    seen.locator("summary").click()
    expect(seen.locator(".names li").first).to_be_visible()
    assert not re.fullmatch(r"Item \d+", seen.locator(".names li").first.inner_text())


REPLACED = {"stage": "ranking", "reason": "ranker did not answer in time.", "fallback": "retrieval order"}


def served(served_by: str, *degraded: dict[str, str]) -> Callable[[Route], None]:
    """Lets answers arrive as if they were served so."""

    def changed(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, json=response.json() | {"served_by": served_by, "degraded": list(degraded)})

    return changed


def test_degraded_answer_says_so(visit: Visit) -> None:
    page = arrived(visit(KNOWN))
    page.route("**/v1/recommendations", served("fallback", REPLACED))
    page.get_by_role("button", name="Ask again").click()
    banner = page.locator(".notice.degraded")
    expect(banner).to_contain_text("Degraded: served by fallback")
    expect(banner).to_contain_text("ranking was replaced by retrieval order. ranker did not answer in time.")
    page.route("**/v1/recommendations", served("fresh"))
    page.get_by_role("button", name="Ask again").click()
    expect(banner).to_have_count(0)
