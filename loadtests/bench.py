"""make bench: latency, CPU and memory of the running stack, beside the budgets it promises.

Needs a running stack (make demo, or make up). Prints tables and writes .data/bench.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from loadtests import feature_store
from loadtests.client import Client, connected, known_users
from loadtests.processes import Usage, stack_processes, usage
from services.runtime.errors import NotFound

STAGE_BUDGETS_MS = {"features": 10.0, "retrieval": 10.0, "ranking": 20.0, "reranking": 5.0, "total": 200.0}
"""Classic budgets at p99, milliseconds."""


@dataclass(slots=True)
class Round:
    """One level of concurrency."""

    clients: int
    requests: int
    seconds: float
    latencies_ms: list[float] = field(repr=False)
    stages_ms: dict[str, list[float]] = field(repr=False)
    degraded: int
    errors: int
    cpu_ms: dict[str, float] = field(default_factory=dict)
    """CPU milliseconds per request by process."""

    def summary(self) -> dict[str, Any]:
        """Figures for JSON."""
        return {
            "clients": self.clients,
            "requests": self.requests,
            "requests_per_second": self.requests / self.seconds,
            "errors": self.errors,
            "degraded": self.degraded,
            "whole_ms": percentiles(self.latencies_ms),
            "stages_ms": {stage: percentiles(times) for stage, times in self.stages_ms.items()},
            "cpu_ms_per_request": self.cpu_ms,
        }


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99; NaN for no values."""
    if not values:
        return dict.fromkeys(("p50", "p95", "p99"), float("nan"))
    p50, p95, p99 = np.percentile(values, (50, 95, 99))
    return {"p50": float(p50), "p95": float(p95), "p99": float(p99)}


async def drive(client: Client, users: Sequence[str], clients: int, requests: int, progress: Progress) -> Round:
    """`requests` recommendations by `clients` concurrent clients, each waiting for its answer before it asks again."""
    task = progress.add_task(f"{clients} clients", total=requests)
    outcome = Round(clients, requests, 0.0, [], {}, 0, 0)
    left = iter(range(requests))
    draw = random.Random(clients)

    async def one_after_the_other() -> None:
        for _ in left:
            user = draw.choice(users)
            started = time.perf_counter()
            status, answer = await client.recommend(user)
            outcome.latencies_ms.append((time.perf_counter() - started) * 1000)
            _count(outcome, status, answer)
            progress.advance(task)

    started = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(clients)))
    outcome.seconds = time.perf_counter() - started
    return outcome


def _count(outcome: Round, status: int, answer: dict[str, Any]) -> None:
    if status != 200:
        outcome.errors += 1
        return
    outcome.degraded += bool(answer["degraded"])
    for stage, milliseconds in answer["timings_ms"].items():
        outcome.stages_ms.setdefault(stage, []).append(milliseconds)


async def measure(url: str, data_dir: Path, requests: int) -> list[Round]:
    """A warm-up that does not count, then one round for 1, 4 and 16 clients."""
    processes, users = stack_processes(data_dir), known_users(data_dir)
    rounds: list[Round] = []
    with Progress(transient=True) as progress:
        async with connected(url, data_dir) as client:
            await drive(client, users, 4, 200, progress)
            for clients in (1, 4, 16):
                before = usage(processes)
                outcome = await drive(client, users, clients, requests, progress)
                outcome.cpu_ms = _spent(before, usage(processes), requests)
                rounds.append(outcome)
    return rounds


def _spent(before: dict[str, Usage], after: dict[str, Usage], requests: int) -> dict[str, float]:
    return {
        name: (after[name].cpu_seconds - before[name].cpu_seconds) * 1000 / requests for name in before if name in after
    }


def show_rounds(console: Console, rounds: Sequence[Round]) -> None:
    """Throughput and latency by concurrency, then stages of the single client beside their budgets."""
    table = Table(title="Recommendations, 500 candidates, 10 shown")
    for heading in ("clients", "req/s", "p50 ms", "p95 ms", "p99 ms", "CPU ms/req", "degraded", "errors"):
        table.add_column(heading, justify="right")
    for outcome in rounds:
        whole = percentiles(outcome.latencies_ms)
        table.add_row(
            str(outcome.clients), f"{outcome.requests / outcome.seconds:.1f}",
            *(f"{whole[p]:.1f}" for p in ("p50", "p95", "p99")),
            f"{sum(outcome.cpu_ms.values()):.1f}", str(outcome.degraded), str(outcome.errors),
        )  # fmt: skip
    console.print(table)
    for outcome in rounds:
        console.print(stage_table(outcome))


def stage_table(outcome: Round) -> Table:
    """Percentiles by stage; the budgets are those of a request that has the machine to itself."""
    alone = outcome.clients == 1
    table = Table(title=f"Stages at {outcome.clients} client{'' if alone else 's'}, seen from the gateway")
    for heading in ("stage", "p50 ms", "p95 ms", "p99 ms", *(("budget p99 ms", "") if alone else ())):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for stage, budget in STAGE_BUDGETS_MS.items():
        times = percentiles(outcome.stages_ms.get(stage, []))
        verdict = "[green]inside" if times["p99"] <= budget else "[red]over"
        cells = [f"{times[p]:.2f}" for p in ("p50", "p95", "p99")]
        table.add_row(stage, *cells, *((f"{budget:g}", verdict) if alone else ()))
    return table


def show_processes(console: Console, rounds: Sequence[Round], readings: dict[str, Usage]) -> None:
    """CPU per request and memory of each process."""
    table = Table(title="Processes")
    table.add_column("process")
    for heading in (*(f"CPU ms/req, {outcome.clients} cl." for outcome in rounds), "RSS MB", "peak RSS MB"):
        table.add_column(heading, justify="right")
    for name in sorted(readings):
        spent = [f"{outcome.cpu_ms.get(name, float('nan')):.2f}" for outcome in rounds]
        table.add_row(
            name, *spent, f"{readings[name].rss_bytes / 1e6:.0f}", f"{readings[name].peak_rss_bytes / 1e6:.0f}"
        )
    total, peak = (sum(getattr(r, kind) for r in readings.values()) / 1e6 for kind in ("rss_bytes", "peak_rss_bytes"))
    table.add_row("[b]all", *(f"[b]{sum(o.cpu_ms.values()):.2f}" for o in rounds), f"[b]{total:.0f}", f"[b]{peak:.0f}")
    console.print(table)


def main() -> None:
    """Runs the bench against the stack that is up."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--url", default="http://127.0.0.1:8000")
    arguments.add_argument("--data-dir", type=Path, default=Path(os.environ.get("CASCADE_DATA_DIR", ".data")))
    arguments.add_argument("--requests", type=int, default=1000, help="per level of concurrency")
    arguments.add_argument("--no-feature-store", action="store_true", help="leave out the comparison with stock Feast")
    chosen = arguments.parse_args()
    console = Console()
    try:
        rounds = asyncio.run(measure(chosen.url, chosen.data_dir, chosen.requests))
    except NotFound as error:
        sys.exit(error.sentence)
    readings = usage(stack_processes(chosen.data_dir))
    show_rounds(console, rounds)
    show_processes(console, rounds, readings)
    report: dict[str, Any] = {
        "rounds": [outcome.summary() for outcome in rounds],
        "processes": {name: asdict(reading) for name, reading in readings.items()},
        "budgets_p99_ms": STAGE_BUDGETS_MS,
    }
    if not chosen.no_feature_store:
        report["feature_store"] = feature_store.main()
    target = chosen.data_dir / "bench.json"
    target.write_text(json.dumps(report, indent=2))
    console.print(f"Written to {target}")


if __name__ == "__main__":
    main()
