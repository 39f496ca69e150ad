"""The choice of a token."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from services.llm.engine.sampler import choose, log_probabilities, nucleus, uniform

LOGITS = torch.tensor([2.0, 1.0, 0.0, -1.0])


def shares(temperature: float, top_p: float, draws: int = 4000) -> list[float]:
    counts = [0] * 4
    for place in range(draws):
        counts[choose(LOGITS, temperature, top_p, 3, place)] += 1
    return [count / draws for count in counts]


def test_temperature_zero_takes_the_likeliest() -> None:
    assert choose(LOGITS, 0, 0.1, 1, 0) == 0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_with_their_probabilities(temperature: float) -> None:
    expected = torch.softmax(LOGITS / temperature, -1).tolist()
    assert shares(temperature, 1.0) == pytest.approx(expected, abs=0.03)


def test_the_nucleus_is_drawn_with_its_probabilities_and_nothing_else() -> None:
    probabilities = torch.softmax(LOGITS, -1)
    expected = (probabilities[:2] / probabilities[:2].sum()).tolist()
    assert shares(1.0, 0.85) == pytest.approx([*expected, 0, 0], abs=0.03)


@given(seed=st.integers(0, 10_000), top_p=st.floats(0.01, 0.999), size=st.integers(1, 600))
@settings(deadline=None, max_examples=50)
def test_the_nucleus_is_the_smallest_set_that_reaches_top_p(seed: int, top_p: float, size: int) -> None:
    logits = torch.randn(size, generator=torch.Generator().manual_seed(seed))
    tokens, probabilities = nucleus(logits, 1.0, top_p)
    order = torch.softmax(logits.double(), -1).sort(descending=True).values
    expected = int((order.cumsum(0) < top_p - 1e-12).sum()) + 1
    assert abs(len(tokens) - expected) <= (1 if expected == size or math.isclose(top_p, 1) else 0)
    assert float(probabilities.sum()) == pytest.approx(1)
    assert float(order[: len(tokens)].sum()) >= min(top_p, 1) - 1e-9


def test_a_draw_depends_on_seed_and_place_only() -> None:
    assert uniform(5, 9) == uniform(5, 9)
    assert len({uniform(seed, place) for seed in (-1, 0, 1, 2**63) for place in range(10)}) == 40
    assert np.mean([uniform(1, place) for place in range(2000)]) == pytest.approx(0.5, abs=0.03)


def test_log_probabilities_leave_out_what_is_impossible() -> None:
    logits = torch.tensor([1.0, float("-inf"), 0.0])
    found = log_probabilities(logits, 2, 3)
    assert found.logprob == pytest.approx(-math.log(1 + math.e))
    assert [token for token, _ in found.top] == [0, 2]
