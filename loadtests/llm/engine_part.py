"""What a part of the engine's bench leaves behind, and how its times are taken."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from loadtests.thresholds import Verdict


@dataclass(frozen=True, slots=True)
class Spent:
    """Time of one piece of work."""

    cpu: float
    """Seconds of the computing thread; the machine may be shared, so ratios are of these."""
    wall: float
    """Seconds by the clock."""


@dataclass(slots=True)
class Part:
    """One comparison: a table, figures for JSON, and verdicts."""

    title: str
    headings: tuple[str, ...]
    """The first column's is text, the others' are numbers."""
    rows: list[tuple[str, ...]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Sentences beneath the table."""

    def show(self, console: Console) -> None:
        """On the terminal."""
        if self.rows:
            table = Table(title=self.title)
            for place, heading in enumerate(self.headings):
                table.add_column(heading, justify="right" if place else "left", no_wrap=not place)
            for row in self.rows:
                table.add_row(*row)
            console.print(table)
        for note in self.notes:
            console.print(note, soft_wrap=True, highlight=False)

    def summary(self) -> dict[str, Any]:
        """Figures for JSON."""
        verdicts = [asdict(verdict) for verdict in self.verdicts]
        return {**self.figures, "notes": self.notes, "verdicts": verdicts}


def measured(work: Callable[[], object]) -> Spent:
    """Does it, in this thread."""
    wall, cpu = time.perf_counter(), time.thread_time()
    work()
    return Spent(time.thread_time() - cpu, time.perf_counter() - wall)


def paired_ratio(slower: Sequence[Spent], faster: Sequence[Spent], clock: str = "cpu") -> float:
    """Median over the rounds of one's seconds by the other's in the same round; NaN for no rounds."""
    pairs = zip(slower, faster, strict=True)
    ratios = [getattr(one, clock) / getattr(other, clock) for one, other in pairs]
    return median(ratios) if ratios else math.nan


def at_least(name: str, bound: float, value: float) -> Verdict:
    """A ratio that must reach its bound; NaN has not."""
    return Verdict(name, f"at least {bound:g}×", f"{value:.2f}×", value >= bound)


def at_most(name: str, bound: float, share: float) -> Verdict:
    """A share that must stay below its bound; NaN does not."""
    return Verdict(name, f"at most {bound:.0%}", f"{share:.1%}", share <= bound)
