"""A verdict on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.trainer.gate.verdict import UNDECIDED, Check, Verdict, finite


def show(console: Console, verdict: Verdict) -> None:
    """One row per check, then the reasons when it was refused."""
    console.print(verdict_table(verdict))
    for reason in verdict.reasons:
        console.print(Text(f"  ✗ {reason}", "red"))


def verdict_table(verdict: Verdict) -> Table:
    """Per check: champion, challenger, difference with its interval, verdict. Fits into 80 columns."""
    outcome = "passed" if verdict.passed else "refused"
    table = Table(
        title=f"Gate: {verdict.subject} {outcome} in {verdict.seconds:.1f} s", title_justify="left", box=box.SIMPLE_HEAD
    )
    table.add_column("check", no_wrap=True)
    for heading in ("champion", "challenger", "difference"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for check in verdict.checks:
        table.add_row(check.name, *_figures(check), _mark(check))
    return table


def _figures(check: Check) -> tuple[str, str, str]:
    known = finite(check.figures)
    sides = [f"{known[name]:.4f}" if name in known else "" for name in ("champion", "challenger")]
    difference = f"{known['difference']:+.4f}" if "difference" in known else ""
    if "low" in known and "high" in known:
        difference += f" [{known['low']:+.3f}, {known['high']:+.3f}]"
    return sides[0], sides[1], difference


def _mark(check: Check) -> Text:
    if not check.passed:
        return Text("✗ refused", "red")
    return Text("? undecided", "yellow") if check.sentence.startswith(UNDECIDED) else Text("✓ passed", "green")
