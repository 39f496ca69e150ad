"""Pauses between tries."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from services.llm.routing.policy import RetryPolicy


@given(st.integers(1, 2000), st.integers())
def test_a_pause_is_below_a_doubling_ceiling_that_has_an_end(failures: int, random: int) -> None:
    policy = RetryPolicy(first_pause_seconds=0.1, longest_pause_seconds=1.0)
    ceiling = min(1.0, 0.1 * 2 ** min(failures - 1, 20))
    assert 0 <= policy.pause(failures, Random(random)) <= ceiling


def test_pauses_are_spread() -> None:
    policy = RetryPolicy(first_pause_seconds=0.1)
    pauses = sorted(policy.pause(1, Random(n)) for n in range(100))
    assert pauses[10] < 0.03 < 0.07 < pauses[90]
