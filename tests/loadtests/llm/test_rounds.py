"""What the client is asked and what it saw."""

from __future__ import annotations

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.llm.caller import text_of
from loadtests.llm.rounds import Plan, Seen, fate_of, quantile

WORDS = 8


def said(name: str) -> str:
    return "".join(f"{name}-{place} " for place in range(WORDS))


def test_plans_and_what_was_seen_travel_unchanged() -> None:
    plan = Plan("http://127.0.0.1:1", "key", 10, rate=2.5, first=7, stream=True)
    seen = Seen(1.5, [1.0, 2.0], [0.5], {"200": 2, "503": 1}, {"whole": 2}, 20, 12, "refused")
    assert Plan.read(plan.line) == plan
    assert Seen.read(seen.line) == seen
    assert seen.failed == 1
    assert seen.rate == pytest.approx(2 / 1.5)


def test_calls_differ_unless_they_are_to_be_equal() -> None:
    plan, same = Plan("", "key", 3, first=5), Plan("", "key", 3, first=5, same=True)
    assert len({plan.body(place) for place in range(3)}) == 3
    assert len({same.body(place) for place in range(3)}) == 1
    assert "stream" not in orjson.loads(plan.body(0))


def test_no_values_have_no_quantile() -> None:
    assert math.isnan(quantile([], 0.5))
    assert quantile([1.0, 2.0, 3.0], 0.5) == 2.0


@given(st.integers(0, len(said("red"))))
def test_a_stream_that_breaks_off_anywhere_was_not_begun_again(characters: int) -> None:
    assert fate_of(said("red")[:characters], ended=False) == "broke_off"
    assert fate_of(said("red"), ended=True) == "whole"


@given(st.integers(1, len(said("red"))), st.sampled_from(["red", "blue"]))
def test_a_stream_that_was_begun_again_is_seen_whoever_begins_it(characters: int, name: str) -> None:
    text = said("red")[:characters] + said(name)
    assert fate_of(text, ended=True) == "restarted"


@pytest.mark.parametrize("line", [b"\n\n", b"\r\n\r\n"])
def test_the_text_of_a_stream_is_that_of_its_whole_events(line: bytes) -> None:
    events = [{"choices": [{"delta": {"content": word}}]} for word in ("a ", "b ")]
    told = [*events, {"choices": [{"delta": {}}]}, {"choices": []}]
    data = b"".join(b"data: " + orjson.dumps(event) + line for event in told)
    assert text_of(data + b"data: [DONE]" + line) == "a b "
    assert text_of(data + b'data: {"choices": [{"del') == "a b "
