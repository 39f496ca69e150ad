"""python -m loadtests.llm.stopped: recommendations of the running stack with its language models, and without.

The same users ask in turns while the llm service waits for work, while its process is stopped (SIGSTOP: it takes
connections and answers nothing), and while it writes explanations for somebody else on the same cores.
Writes .data/bench/llm-stopped.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from loadtests.bench import Round, drive, percentiles
from loadtests.client import Client, connected, known_users
from loadtests.processes import stack_processes
from services.runtime.errors import NotFound

TARGET = Path("bench") / "llm-stopped.json"
WARM_REQUESTS = 200
SHOWN = 10

State = Callable[[Client, str, int], AbstractAsyncContextManager[None]]


@dataclass(slots=True)
class Seen:
    """One state of the language models, over the turns."""

    rounds: list[Round] = field(default_factory=list)
    said_by: Counter[str] = field(default_factory=Counter)
    """Explanations of one recommendation a turn: by the model, or by rule."""

    def told(self, share: str) -> float:
        """Milliseconds: the median over the turns."""
        return median([percentiles(one.latencies_ms)[share] for one in self.rounds])

    def beside(self, other: Seen, share: str) -> float:
        """Times the other state's figure of the same turn: the median over the turns."""
        pairs = zip(self.rounds, other.rounds, strict=True)
        return median([percentiles(a.latencies_ms)[share] / percentiles(b.latencies_ms)[share] for a, b in pairs])

    def summary(self, other: Seen) -> dict[str, Any]:
        """Figures for JSON, with ratios to another state."""
        return {
            "p50_ms": self.told("p50"),
            "p99_ms": self.told("p99"),
            "p50_ratio": self.beside(other, "p50"),
            "p99_ratio": self.beside(other, "p99"),
            "degraded": sum(one.degraded for one in self.rounds),
            "errors": sum(one.errors for one in self.rounds),
            "explanations": dict(self.said_by),
        }


@asynccontextmanager
async def waiting(client: Client, user: str, pid: int) -> AsyncIterator[None]:
    """It runs, and nobody asks it."""
    yield


@asynccontextmanager
async def stopped(client: Client, user: str, pid: int) -> AsyncIterator[None]:
    """The process exists and does nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def writing(client: Client, user: str, pid: int) -> AsyncIterator[None]:
    """One reader after the other wants explanations, all the time."""

    async def read_on() -> None:
        while True:
            await explained(client, user)

    reading = asyncio.create_task(read_on())
    try:
        yield
        if reading.done():
            reading.result()  # it ends by an error only: nothing was being written
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


STATES: dict[str, State] = {"waiting": waiting, "stopped": stopped, "writing": writing}


async def explained(client: Client, user: str) -> Counter[str]:
    """How many explanations of a new recommendation a model wrote, and how many a rule."""
    _, answer = await client.recommend(user, SHOWN)
    url = f"{client.url}/v1/requests/{answer['recommendation_id']}/explanations"
    async with client.session.get(url) as response:
        lines = (await response.text()).splitlines()
    told = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    return Counter(one["by"] for one in told if one)


async def measure(url: str, data_dir: Path, turns: int, requests: int) -> dict[str, Seen]:
    """Every state in every turn; nobody goes first always."""
    users, pid = known_users(data_dir), stack_processes(data_dir)["llm"].pid
    found = {name: Seen() for name in STATES}
    async with connected(url, data_dir) as client:
        with Progress(transient=True) as progress:
            await drive(client, users, 1, WARM_REQUESTS, progress)
            for turn in range(turns):
                for name in [*STATES][turn % len(STATES) :] + [*STATES][: turn % len(STATES)]:
                    async with STATES[name](client, users[turn], pid):
                        found[name].rounds.append(await drive(client, users, 1, requests, progress))
                        found[name].said_by += await explained(client, users[-turn - 1])
    return found


def table_of(found: dict[str, Seen]) -> Table:
    """For the terminal."""
    table = Table(title="Recommendations, one client, by what the language models do meanwhile")
    for heading in ("language models", "p50 ms", "p99 ms", "p50 ×", "p99 ×", "degraded", "errors", "explained by"):
        table.add_column(heading, justify="left" if heading in ("language models", "explained by") else "right")
    for name, seen in found.items():
        row = seen.summary(found["waiting"])
        figures = (f"{row['p50_ms']:.1f}", f"{row['p99_ms']:.1f}", f"{row['p50_ratio']:.2f}", f"{row['p99_ratio']:.2f}")
        by = ", ".join(f"{kind} {count}" for kind, count in sorted(seen.said_by.items()))
        table.add_row(name, *figures, str(row["degraded"]), str(row["errors"]), by)
    return table


def main() -> None:
    """Measures the stack that is up."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--url", default="http://127.0.0.1:8000")
    arguments.add_argument("--data-dir", type=Path, default=Path(os.environ.get("CASCADE_DATA_DIR", ".data")))
    arguments.add_argument("--turns", type=int, default=7)
    arguments.add_argument("--requests", type=int, default=300, help="of a turn, for each state")
    chosen = arguments.parse_args()
    try:
        found = asyncio.run(measure(chosen.url, chosen.data_dir, chosen.turns, chosen.requests))
    except NotFound as error:
        sys.exit(error.sentence)
    except KeyError:
        sys.exit("The running stack has no language models; start it without CASCADE_LLM=false.")
    console = Console()
    console.print(table_of(found))
    target = chosen.data_dir / TARGET
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({name: seen.summary(found["waiting"]) for name, seen in found.items()}, indent=2))
    console.print(f"Written to {target}", highlight=False)


if __name__ == "__main__":
    main()
