"""Thresholds and their verdicts."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from loadtests.thresholds import Measured, Thresholds, judge, verdict_table

GOOD = Measured(requests=1000, requests_per_second=50.0, failures=0.0, p50_ms=20.0, p99_ms=80.0, degraded=0.01)
STRICT = Thresholds(max_failures=0.0, max_p50_ms=20.0, max_p99_ms=80.0, min_rps=50.0, max_degraded=0.01)
NOTHING = Measured(0, 0.0, math.nan, math.nan, math.nan, math.nan)


def test_a_run_exactly_at_its_thresholds_has_held_them() -> None:
    assert [verdict.held for verdict in judge(STRICT, GOOD)] == [True] * 6


@pytest.mark.parametrize(
    ("worse", "breached"),
    [
        (replace(GOOD, failures=0.001), "failed, share of all"),
        (replace(GOOD, p50_ms=20.1), "recommendations p50"),
        (replace(GOOD, p99_ms=81.0), "recommendations p99"),
        (replace(GOOD, degraded=0.011), "not fresh, share"),
        (replace(GOOD, requests_per_second=49.9), "requests per second"),
    ],
)
def test_each_threshold_is_breached_by_its_own_figure(worse: Measured, breached: str) -> None:
    assert [verdict.name for verdict in judge(STRICT, worse) if not verdict.held] == [breached]


def test_a_figure_without_a_threshold_is_free() -> None:
    verdicts = judge(Thresholds(), replace(GOOD, p99_ms=1e6, degraded=1.0))
    assert [verdict.name for verdict in verdicts] == ["requests", "failed, share of all"]
    assert all(verdict.held for verdict in verdicts)


def test_a_run_without_a_request_holds_nothing() -> None:
    verdicts = judge(STRICT, NOTHING)
    assert not any(verdict.held for verdict in verdicts)
    assert {verdict.measured for verdict in verdicts} == {"0", "nothing", "0.0/s"}


def test_the_table_says_what_was_wanted_measured_and_found() -> None:
    out = io.StringIO()
    Console(file=out, width=100).print(verdict_table(judge(STRICT, replace(GOOD, p99_ms=95.5))))
    row = next(line for line in out.getvalue().splitlines() if "p99" in line)
    assert [cell.strip() for cell in row.split("│")[1:-1]] == [
        "recommendations p99", "at most 80.0 ms", "95.5 ms", "breached"
    ]  # fmt: skip
