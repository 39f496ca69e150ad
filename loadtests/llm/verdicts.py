"""What was found, beside what the gateway promises."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console

from loadtests.llm.budget import Spending
from loadtests.llm.hits import Hits
from loadtests.llm.killing import Killing
from loadtests.llm.latency import Compared
from loadtests.llm.memory import Memory
from loadtests.thresholds import Verdict, verdict_table

ADDED_P50_MS, ADDED_P99_MS = 1.0, 4.0
CPU_SHARE = 1 / 15
"""Of LiteLLM's CPU for a call."""
HIT_MS = 0.5
GROWTH_MIB = 3.0
"""Over all calls of the memory part; what an allocator keeps back is no leak."""


@dataclass(frozen=True, slots=True)
class Report:
    """One run."""

    whole: Compared
    streams: Compared
    hits: Hits
    memory: Memory
    killing: Killing
    spending: Spending

    def verdicts(self) -> list[Verdict]:
        """Each promise; that about LiteLLM only where it was. What could not be measured has not held."""
        killing, spending = self.killing, self.spending
        share = self.whole.cpu_ratio("ours", "LiteLLM")
        beside = [_at_most("CPU for a call, share of LiteLLM's", CPU_SHARE, share, "")]
        return [
            _at_most("added p50 at 300 calls/s", ADDED_P50_MS, self.whole.added("ours", "p50"), "ms"),
            _at_most("added p99 at 300 calls/s", ADDED_P99_MS, self.whole.added("ours", "p99"), "ms"),
            *(beside if "LiteLLM" in self.whole.rounds else ()),
            _at_most("hit of the exact cache, p50", HIT_MS, self.hits.loopback_p50, "ms"),
            _at_most(f"memory grown over {self.memory.calls} calls", GROWTH_MIB, self.memory.growth, "MiB"),
            _at_most("whole calls failed when an upstream was killed", 0, killing.whole.failed, ""),
            _at_most("streams begun again", 0, killing.restarted_streams, ""),
            Verdict("breaker opens and closes", "both", _moved(killing), _moved(killing) != "no"),
            Verdict(
                "50 calls at once spend",
                f"at most ${spending.budget_usd:g}",
                f"${spending.told_usd:.6f}",
                spending.inside,
            ),
        ]

    def summary(self) -> dict[str, Any]:
        """Figures for JSON."""
        killing = self.killing
        return {
            "whole": self.whole.summary(),
            "streams": self.streams.summary(),
            "cpu_share_of_litellm": self.whole.cpu_ratio("ours", "LiteLLM"),
            "stream_cpu_share_of_litellm": self.streams.cpu_ratio("ours", "LiteLLM"),
            "exact_hit_ms": asdict(self.hits),
            "memory": {**asdict(self.memory), "growth_mib": self.memory.growth},
            "killed_upstream": {
                "whole_calls": killing.whole.statuses,
                "streams": killing.streamed.streams,
                "streams_failed_before_they_began": killing.streamed.failed,
                "breaker_opened_seconds": killing.opened_seconds,
                "breaker_closed_seconds": killing.closed_seconds,
            },
            "budget": asdict(self.spending),
            "verdicts": [asdict(verdict) for verdict in self.verdicts()],
        }

    def show(self, console: Console) -> None:
        """On the terminal."""
        console.print(self.whole.table())
        console.print(self.streams.table())
        for line in self._lines():
            console.print(line, soft_wrap=True, highlight=False)
        console.print(verdict_table(self.verdicts()))

    def _lines(self) -> list[str]:
        hits, memory, killing, spending = self.hits, self.memory, self.killing, self.spending
        return [
            f"Exact-cache hit: {hits.loopback_p50:.3f} ms p50 and {hits.loopback_p99:.3f} ms p99 over loopback, "
            f"{hits.cpu:.3f} ms of CPU; {hits.aiohttp_p50:.3f} ms as a Python program with an HTTP library sees it, "
            f"{hits.in_process:.3f} ms in process.",
            f"Memory: {memory.samples[0]:.1f} MiB after the warm-up, {memory.samples[-1]:.1f} MiB {memory.calls} calls "
            f"later ({memory.rate:.0f} calls/s, {memory.failed} failed).",
            f"An upstream killed: {sum(killing.whole.statuses.values())} whole calls, {killing.whole.failed} failed; "
            f"streams {killing.streamed.streams}, {killing.streamed.failed} failed before they began; breaker open "
            f"after {killing.opened_seconds:.2f} s, closed {killing.closed_seconds:.2f} s after it was back.",
            f"Budget ${spending.budget_usd:g}: {spending.answered} answered, {spending.refused} refused, "
            f"{spending.failed} failed; ${spending.told_usd:.6f} spent, ${spending.counted_usd:.6f} by the answers.",
        ]


def _at_most(name: str, bound: float, value: float, unit: str) -> Verdict:
    measured = "nothing" if math.isnan(value) else f"{value:.3g} {unit}".strip()
    return Verdict(name, f"at most {bound:.3g} {unit}".strip(), measured, value <= bound)


def _moved(killing: Killing) -> str:
    if math.isnan(killing.opened_seconds) or math.isnan(killing.closed_seconds):
        return "no"
    return f"{killing.opened_seconds:.2f} s, {killing.closed_seconds:.2f} s"
