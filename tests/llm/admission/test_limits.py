"""Requests and tokens a minute."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.admission.limits import Limits
from services.llm.admission.refusals import Limited
from services.runtime.errors import TooLarge
from tests.llm.admission.builders import Clock, key_of


def test_a_minutes_worth_is_there_at_once_and_then_one_at_a_time() -> None:
    clock, key = Clock(), key_of(requests_per_minute=6)
    limits = Limits([key], clock)
    for _ in range(6):
        limits.admit(key, 0)
    with pytest.raises(Limited, match=r"6 requests a minute. Try again in 10\.0 s") as refused:
        limits.admit(key, 0)
    assert (refused.value.limit, refused.value.retry_after) == ("requests", 10.0)
    clock.now += 10
    limits.admit(key, 0)
    with pytest.raises(Limited):
        limits.admit(key, 0)


def test_the_seconds_told_are_enough() -> None:
    clock, key = Clock(), key_of(tokens_per_minute=600)
    limits = Limits([key], clock)
    limits.admit(key, 500)
    with pytest.raises(Limited) as refused:
        limits.admit(key, 400)
    assert refused.value.limit == "tokens"
    assert refused.value.retry_after is not None
    clock.now += refused.value.retry_after - 0.5
    with pytest.raises(Limited):
        limits.admit(key, 400)
    clock.now += 0.5
    limits.admit(key, 400)


def test_tokens_not_used_come_back_once_and_tokens_used_beyond_are_owed() -> None:
    clock, key = Clock(), key_of(tokens_per_minute=100)
    limits = Limits([key], clock)
    grant = limits.admit(key, 100)
    grant.settle(40)
    grant.settle(0)
    limits.admit(key, 60).settle(120)
    with pytest.raises(Limited) as refused:
        limits.admit(key, 1)
    assert refused.value.retry_after == pytest.approx(61 / 100 * 60)


def test_a_refused_request_takes_neither_of_the_two() -> None:
    key = key_of(requests_per_minute=2, tokens_per_minute=100)
    limits = Limits([key], Clock())
    limits.admit(key, 60)
    for _ in range(3):
        with pytest.raises(Limited):
            limits.admit(key, 60)
    limits.admit(key, 40)


def test_what_no_waiting_makes_possible_is_too_large() -> None:
    key = key_of(tokens_per_minute=100)
    with pytest.raises(TooLarge, match="may need 101 tokens, and this key has 100 a minute"):
        Limits([key], Clock()).admit(key, 101)


def test_keys_do_not_share_and_a_key_without_limits_is_never_refused() -> None:
    few, other, free = key_of("few", requests_per_minute=1), key_of("other", requests_per_minute=1), key_of("free")
    limits = Limits([few, other, free], Clock())
    limits.admit(few, 0)
    limits.admit(other, 0)
    for _ in range(1000):
        limits.admit(free, 10**9).settle(1)


@given(
    steps=st.lists(
        st.tuples(st.floats(0, 30), st.integers(0, 120), st.none() | st.floats(0, 1)), min_size=1, max_size=60
    )
)
def test_no_stretch_of_time_has_more_tokens_than_a_full_bucket_and_what_flowed_in(
    steps: list[tuple[float, int, float | None]],
) -> None:
    clock, key = Clock(), key_of(tokens_per_minute=120)
    limits, used = Limits([key], clock), list[tuple[float, float]]()
    for pause, tokens, share in steps:
        clock.now += pause
        try:
            grant = limits.admit(key, tokens)
        except Limited:
            continue
        really = tokens if share is None else int(tokens * share)
        grant.settle(really)
        used.append((clock.now, really))
    for first, (start, _) in enumerate(used):
        for last in range(first, len(used)):
            spent = sum(tokens for _, tokens in used[first : last + 1])
            assert spent <= 120 + (used[last][0] - start) * 2 + 1e-6
