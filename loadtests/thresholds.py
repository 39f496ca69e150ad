"""What a run must reach, and whether it did."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of a run that thresholds can be about; NaN where there was nothing to measure."""

    requests: int
    """Of every kind."""
    requests_per_second: float
    failures: float
    """Share of all requests."""
    p50_ms: float
    """Of recommendations, as the client sees them."""
    p99_ms: float
    degraded: float
    """Share of recommendations that were not fresh."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """None leaves a figure free. A run without a single request always fails."""

    max_failures: float | None = 0.0
    max_p50_ms: float | None = None
    max_p99_ms: float | None = None
    min_rps: float | None = None
    max_degraded: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One threshold beside what was measured."""

    name: str
    bound: str
    measured: str
    held: bool


def judge(thresholds: Thresholds, measured: Measured) -> list[Verdict]:
    """A verdict for each threshold that is set. What could not be measured has not held."""
    verdicts = [Verdict("requests", "at least 1", str(measured.requests), measured.requests >= 1)]
    for name, limit, value, pattern in (
        ("failed, share of all", thresholds.max_failures, measured.failures, "{:.2%}"),
        ("recommendations p50", thresholds.max_p50_ms, measured.p50_ms, "{:.1f} ms"),
        ("recommendations p99", thresholds.max_p99_ms, measured.p99_ms, "{:.1f} ms"),
        ("not fresh, share", thresholds.max_degraded, measured.degraded, "{:.2%}"),
    ):
        if limit is not None:
            verdicts.append(Verdict(name, "at most " + pattern.format(limit), _told(pattern, value), value <= limit))
    if thresholds.min_rps is not None:
        rate, pattern = measured.requests_per_second, "{:.1f}/s"
        verdicts.append(
            Verdict("requests per second", "at least " + pattern.format(thresholds.min_rps), _told(pattern, rate),
                    rate >= thresholds.min_rps)
        )  # fmt: skip
    return verdicts


def verdict_table(verdicts: Sequence[Verdict]) -> Table:
    """For the terminal."""
    table = Table(title="Thresholds")
    for heading in ("", "threshold", "measured", "verdict"):
        table.add_column(heading, justify="left" if heading in ("", "verdict") else "right")
    for verdict in verdicts:
        told = "[green]held" if verdict.held else "[red]breached"
        table.add_row(verdict.name, verdict.bound, verdict.measured, told)
    return table


def _told(pattern: str, value: float) -> str:
    return "nothing" if math.isnan(value) else pattern.format(value)
