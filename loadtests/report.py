"""The end of a load test on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from loadtests.results import Results
from loadtests.thresholds import Verdict, verdict_table


def show(console: Console, results: Results, verdicts: Sequence[Verdict]) -> None:
    """Who answered, where the time went, what each number of users got, and which thresholds held."""
    if results.latencies.count:
        console.print(f"Recommendations served by: {told(results.served_by)}")
        console.print(f"Stages replaced in them: {told(results.degraded)}")
        console.print(_stages(results))
    if len(results.levels) > 1:
        console.print(_levels(results))
    console.print(verdict_table(verdicts))


def told(counter: Counter[str]) -> str:
    """name count, the most frequent first."""
    return ", ".join(f"{name} {count}" for name, count in counter.most_common()) or "-"


def _stages(results: Results) -> Table:
    table = _table("Recommendations: where the time went", "stage", "p50 ms", "p99 ms")
    whole = ("whole, as the client sees it", results.latencies)
    for name, spent in (*sorted(results.stages.items(), key=lambda stage: stage[0] == "total"), whole):
        told_name = "total, in the gateway" if name == "total" else name
        table.add_row(told_name, f"{spent.quantile(0.5):.1f}", f"{spent.quantile(0.99):.1f}")
    return table


def _levels(results: Results) -> Table:
    table = _table(
        "Recommendations by number of users", "users", "answers", "answers/s", "p50 ms", "p99 ms", "not fresh"
    )
    for users, level in sorted(results.levels.items()):
        spent = level.latencies
        table.add_row(
            str(users), str(spent.count), f"{level.per_second:.1f}",
            f"{spent.quantile(0.5):.1f}", f"{spent.quantile(0.99):.1f}",
            f"{level.not_fresh / spent.count:.2%}",
        )  # fmt: skip
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title)
    table.add_column(first)
    for heading in others:
        table.add_column(heading, justify="right")
    return table
