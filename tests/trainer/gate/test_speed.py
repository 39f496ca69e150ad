from __future__ import annotations

import numpy as np
import pytest

from services.trainer.gate.config import GateConfig
from services.trainer.gate.speed import judge_latency, latency_check


class Hand:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.order: list[str] = []

    def __call__(self) -> float:
        return self.seconds

    def work(self, name: str, seconds: float) -> None:
        self.order.append(name)
        self.seconds += seconds


def test_a_call_twenty_times_as_slow_is_refused() -> None:
    clock = Hand()
    calls = {"champion": lambda: clock.work("a", 0.004), "challenger": lambda: clock.work("b", 0.08)}
    check = latency_check(calls, GateConfig(), clock)
    assert not check.passed
    assert check.sentence.startswith("20.0 times as slow: median 80.00 ms")


def test_the_two_take_turns_and_neither_is_always_first() -> None:
    clock = Hand()
    calls = {"champion": lambda: clock.work("a", 0.001), "challenger": lambda: clock.work("b", 0.001)}
    latency_check(calls, GateConfig(rounds=4), clock)
    assert "".join(clock.order[6:]) == "baabbaab"


@pytest.mark.parametrize(
    ("champion", "challenger", "passed"),
    [(10.0, 14.0, True), (10.0, 16.0, False), (0.1, 1.9, True), (0.1, 2.1, False)],
    ids=["within the factor", "beyond the factor", "slower below the floor", "slower above the floor"],
)
def test_slow_is_what_is_beyond_the_factor_and_the_floor(champion: float, challenger: float, passed: bool) -> None:
    times = {"champion": np.full(20, champion), "challenger": np.full(20, challenger)}
    assert judge_latency(times, GateConfig(slowdown=1.5, floor_ms=2.0)).passed is passed


def test_a_single_pause_of_the_machine_refuses_nobody() -> None:
    times = {"champion": np.full(20, 5.0), "challenger": np.append(np.full(19, 5.0), 900.0)}
    check = judge_latency(times, GateConfig())
    assert check.passed
    assert check.figures["challenger_p99"] > 100


def test_a_busy_machine_that_met_one_of_the_two_refuses_nobody() -> None:
    times = {"champion": np.full(20, 6.0), "challenger": np.append(np.full(15, 11.0), np.full(5, 6.1))}
    assert judge_latency(times, GateConfig()).passed
