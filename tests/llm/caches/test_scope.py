"""Which calls are the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.caches.scope import exact_key
from services.llm.calls import Generation, Message, Sampling
from tests.llm.caches.builders import ask


@pytest.mark.parametrize(
    "other",
    [
        ask("Which film? "),
        ask(model="n"),
        ask(system="Be brief."),
        ask(max_tokens=5),
        ask(stop=("a",)),
        ask(stop=("ab",)),
        ask(stop=("a", "b")),
        ask(logprobs=0),
        ask(json_schema={}),
        ask(json_schema={"type": "object"}),
        ask(temperature=0.5, seed=1),
        ask(temperature=0.5, seed=2),
        ask(temperature=0.5, seed=1, top_p=0.5),
        Generation("m", prompt="Which film?", sampling=Sampling(temperature=0)),
        Generation("m", (Message("assistant", "Which film?"),), sampling=Sampling(temperature=0)),
        Generation("m", (Message("user", "Which"), Message("user", " film?")), sampling=Sampling(temperature=0)),
    ],
)
def test_a_call_that_may_have_another_answer_has_another_key(other: Generation) -> None:
    keys = {exact_key("shop", ask()), exact_key("shop", other), exact_key("other", ask()), exact_key("other", other)}
    assert len(keys) == 4
    assert None not in keys


@pytest.mark.parametrize(
    "same", [ask(top_p=0.5), ask(seed=3), replace(ask(), priority=7), ask(temperature=0.0), ask(stop=())]
)
def test_what_does_not_change_a_greedy_answer_does_not_change_its_key(same: Generation) -> None:
    assert exact_key("shop", same) == exact_key("shop", ask())


def test_the_order_of_stops_does_not_matter_and_that_of_properties_does() -> None:
    assert exact_key("shop", ask(stop=("a", "b"))) == exact_key("shop", ask(stop=("b", "a")))
    first: dict[str, Any] = {"properties": {"title": {}, "year": {}}}
    second: dict[str, Any] = {"properties": {"year": {}, "title": {}}}
    assert exact_key("shop", ask(json_schema=first)) != exact_key("shop", ask(json_schema=second))


def test_a_call_left_to_chance_is_not_for_the_cache() -> None:
    assert exact_key("shop", ask(temperature=0.7)) is None
    assert exact_key("shop", ask(temperature=0.7, seed=0)) is not None


@given(
    one=st.tuples(st.text(), st.text(), st.text()),
    other=st.tuples(st.text(), st.text(), st.text()),
)
def test_texts_do_not_run_into_each_other(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    keys = [exact_key(tenant, ask(text, model=model)) for tenant, model, text in (one, other)]
    assert (keys[0] == keys[1]) == (one == other)
