"""The page can be read on every screen and in both themes."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.page.conftest import Visit
from tests.e2e.page.steps import KNOWN, SHOWN, arrived, searched

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("width", [360, 820, 1200, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_and_everything_can_be_read(visit: Visit, width: int, scheme: str) -> None:
    page = arrived(visit(KNOWN, width=width, color_scheme=scheme))
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for group in page.locator(".stage details").all():
        group.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(UNREADABLE) == []


@pytest.mark.parametrize("width", [360, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_search_and_sentences_can_be_read(visit: Visit, width: int, scheme: str) -> None:
    page = arrived(visit(KNOWN, width=width, color_scheme=scheme))
    expect(page.locator("#cards .sentence:not(:empty)")).to_have_count(SHOWN)
    page.evaluate("document.activeElement.blur()")
    assert page.evaluate(UNREADABLE) == []
    searched(page, "ten funny films like Toy Story from the nineties, no horror, newest first, about a lighthouse")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(UNREADABLE) == []


def test_theme_is_chosen_and_kept(visit: Visit) -> None:
    page = arrived(visit(KNOWN, color_scheme="light"))
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    toggle = page.get_by_role("button", name="Theme")
    toggle.click()
    toggle.click()
    expect(toggle).to_have_text("Theme: dark")
    assert page.evaluate(ground) != light
    page.reload()
    expect(page.get_by_role("button", name="Theme")).to_have_text("Theme: dark")
    assert page.evaluate(ground) != light


UNREADABLE = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const painted = (...colours) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const wrong = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest(".cover, noscript") || !element.checkVisibility()) continue;
    const grounds = [];
    for (let at = element; at; at = at.parentElement) grounds.unshift(getComputedStyle(at).backgroundColor);
    const style = getComputedStyle(element);
    const [one, other] = [painted(...grounds), painted(...grounds, style.color)].map(luminance);
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (large ? 3 : 4.5)) wrong.push(`${walker.currentNode.data.trim()}: ${contrast.toFixed(2)}`);
  }
  return wrong;
}"""
"""Every text whose contrast with what lies behind it is below WCAG 2.2 AA; covers are pictures and left out."""
