"""Circuit breaker: closed, open, half open."""

from __future__ import annotations

import pytest
from hypothesis import given, seed
from hypothesis import strategies as st

from services.llm.routing.breaker import Breaker, BreakerConfig, State

CONFIG = BreakerConfig(failures=3, least_calls=10, pause_seconds=1.0, longest_pause_seconds=4.0)


class Clock:
    """A clock a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(CONFIG, clock)


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.failed(breaker.admit())


def test_failures_in_a_row_open_it_and_a_success_starts_the_count_anew(breaker: Breaker) -> None:
    fail(breaker, 2)
    breaker.succeeded(breaker.admit())
    fail(breaker, 2)
    assert breaker.allows()
    fail(breaker, 1)
    assert (breaker.state, breaker.allows()) == ("open", False)


def test_a_share_of_failures_in_the_window_opens_it(breaker: Breaker, clock: Clock) -> None:
    for _ in range(4):
        breaker.succeeded(breaker.admit())
        fail(breaker, 1)
    clock.now += CONFIG.window_seconds * 2
    for _ in range(4):
        breaker.succeeded(breaker.admit())
        fail(breaker, 1)
    assert breaker.allows()
    clock.now += CONFIG.window_seconds / 2
    breaker.succeeded(breaker.admit())
    fail(breaker, 1)
    assert not breaker.allows()


def test_after_the_pause_one_probe_goes_through_and_its_success_closes_it(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 0.99
    assert not breaker.allows()
    clock.now += 0.01
    assert breaker.allows()
    probe = breaker.admit()
    assert (breaker.state, breaker.allows()) == ("half_open", False)
    breaker.succeeded(probe)
    assert (breaker.state, breaker.allows()) == ("closed", True)


def test_each_failed_probe_doubles_the_pause_up_to_the_longest(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    for pause in (1.0, 2.0, 4.0, 4.0):
        clock.now += pause - 0.01
        assert not breaker.allows()
        clock.now += 0.01
        fail(breaker, 1)
    clock.now += 4.0
    breaker.succeeded(breaker.admit())
    fail(breaker, 3)
    clock.now += 1.0
    assert breaker.allows()


def test_an_abandoned_probe_makes_room_for_another(breaker: Breaker, clock: Clock) -> None:
    fail(breaker, 3)
    clock.now += 1.0
    breaker.abandoned(breaker.admit())
    assert (breaker.state, breaker.allows()) == ("half_open", True)


def test_what_began_before_it_opened_says_nothing_about_the_probe(breaker: Breaker, clock: Clock) -> None:
    early = [breaker.admit() for _ in range(3)]
    fail(breaker, 3)
    clock.now += 1.0
    probe = breaker.admit()
    breaker.succeeded(early[0])
    breaker.failed(early[1])
    breaker.abandoned(early[2])
    assert (breaker.state, breaker.allows()) == ("half_open", False)
    breaker.succeeded(probe)
    assert breaker.state == "closed"


NEXT: dict[State, set[State]] = {"closed": {"open"}, "open": {"half_open"}, "half_open": {"open", "closed"}}
steps = st.tuples(st.sampled_from(["ask", "succeeded", "failed", "abandoned"]), st.integers(0, 9), st.floats(0, 1.5))


@seed(5)
@given(st.lists(steps, max_size=60))
def test_open_lets_none_through_and_half_open_one(steps: list[tuple[str, int, float]]) -> None:
    clock, changes, opened_at = Clock(), list[State](["closed"]), 0.0
    breaker = Breaker(CONFIG, clock, changes.append)
    running: list[tuple[int, int]] = []  # (permit, how many changes there were when it was given)
    for step, which, seconds in steps:
        clock.now += seconds
        before = len(changes)
        if step == "ask" and breaker.allows():
            assert changes[-1] != "open" or clock.now - opened_at >= CONFIG.pause_seconds
            permit = breaker.admit()
            running.append((permit, len(changes)))
        elif step != "ask" and running:
            permit, _ = running.pop(which % len(running))
            {"succeeded": breaker.succeeded, "failed": breaker.failed, "abandoned": breaker.abandoned}[step](permit)
        opened_at = clock.now if changes[before:] == ["open"] else opened_at
        probes = [permit for permit, seen in running if seen == len(changes) and breaker.state == "half_open"]
        assert len(probes) <= 1
        assert (not probes) == breaker.allows() or breaker.state != "half_open"
    assert all(after in NEXT[before] for before, after in zip(changes, changes[1:], strict=False))
