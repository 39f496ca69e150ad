"""What is compared with what."""

from __future__ import annotations

import math

import pytest

from loadtests.llm.latency import Compared, Round


def rounds(*figures: tuple[float, float, float]) -> list[Round]:
    """Two loud turns behind the quiet ones, which must not count."""
    loud = [Round(300.0, 100 * cpu, 900, 9.0, 0, others=0.9) for _, _, cpu in figures[1:]]
    return [*(Round(300.0, p50, p99, cpu, 0, others=0.1) for p50, p99, cpu in figures), *loud]


def test_what_is_added_is_the_median_over_turns_of_the_difference_within_each() -> None:
    direct = rounds((1, 2, 0.2), (11, 30, 0.2), (2, 4, 0.2))
    ours = rounds((2, 5, 0.5), (11.5, 32, 0.6), (2.75, 5, 0.7))
    compared = Compared(False, {"direct": direct, "ours": ours})
    assert compared.added("ours", "p50") == pytest.approx(0.75)
    assert compared.added("ours", "p99") == pytest.approx(2.0)
    assert compared.added("direct", "p99") == 0
    assert compared.told("ours", "cpu_ms") == pytest.approx(0.6)


def test_cpu_is_not_compared_with_a_peer_that_was_not_there() -> None:
    compared = Compared(False, {"direct": rounds((1, 2, 0.2)), "ours": rounds((2, 5, 0.5))})
    assert compared.cpu_ratio("ours", "direct") == pytest.approx(2.5)
    assert math.isnan(compared.cpu_ratio("ours", "LiteLLM"))


def test_only_the_quieter_half_of_the_turns_counts_whatever_its_figures() -> None:
    direct = [Round(300.0, 1.0, 2.0, 0.2, 0, others) for others in (0.5, 0.0, 0.4, 0.1)]
    ours = [Round(300.0, 1.0 + added, 2.0, 0.2, 0, 0.0) for added in (0.1, 8.0, 0.2, 9.0)]
    compared = Compared(False, {"direct": direct, "ours": ours})
    assert compared.quiet == [1, 3]
    assert compared.added("ours", "p50") == pytest.approx(8.5)


def test_failures_of_all_turns_are_told() -> None:
    direct = [Round(300.0, 1, 2, 0.2, 3), Round(300.0, 1, 2, 0.2, 4)]
    assert Compared(True, {"direct": direct}).summary()["direct"]["failed"] == 7
