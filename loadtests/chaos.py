"""python -m loadtests.chaos: kill -9 of every service under steady load; nobody may notice more than `degraded`.

Recommendations and events flow all the time. For each service: kill it, watch answers become degraded and then fresh
again. In the end every event accepted with 202 must be in the lake, exactly once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
from rich.console import Console
from rich.table import Table

from loadtests.client import Client, connected, known_users
from services.local.stack import running_stack

VICTIMS = ("ranker", "retrieval", "features", "ingest")
CALM_S = 3.0
"""Load before each kill, and fresh answers needed after it."""
RECOVERY_S = 60.0
"""A service that takes longer to come back has failed."""
DRAIN_S = 30.0
"""How long the last events may take to reach the lake."""


@dataclass(slots=True)
class Tally:
    """What came back since the last reset."""

    statuses: Counter[int] = field(default_factory=Counter)
    served_by: Counter[str] = field(default_factory=Counter)
    degraded: Counter[str] = field(default_factory=Counter)
    last_degraded: float = 0.0
    """Monotonic time of the last answer that was not fresh."""


@dataclass(slots=True)
class Load:
    """Steady traffic until `stop` is set."""

    client: Client
    users: list[str]
    tally: Tally = field(default_factory=Tally)
    accepted: list[str] = field(default_factory=list)
    refused: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def recommendations(self, seed: int) -> None:
        draw = random.Random(seed)
        while not self.stop.is_set():
            status, answer = await self.client.recommend(draw.choice(self.users))
            self.tally.statuses[status] += 1
            if status == 200:
                self.tally.served_by[answer["served_by"]] += 1
                self.tally.degraded.update(entry["stage"] for entry in answer["degraded"])
            if status != 200 or answer["degraded"] or answer["served_by"] != "fresh":
                self.tally.last_degraded = time.monotonic()
            await asyncio.sleep(0.02)

    async def events(self, items: list[str]) -> None:
        draw = random.Random(0)
        while not self.stop.is_set():
            status, event_id = await self.client.send(draw.choice(self.users), draw.choice(items))
            if status == 202:
                self.accepted.append(event_id)
            else:
                self.refused += 1
            await asyncio.sleep(0.02)


async def drill(load: Load, data_dir: Path, victim: str) -> tuple[Tally, float]:
    """Kills one service; what came back until it was well, and the seconds until the last answer that was not fresh."""
    await asyncio.sleep(CALM_S)
    load.tally = tally = Tally()
    killed_at = time.monotonic()
    old = running_stack(data_dir).pids[victim]
    os.kill(old, signal.SIGKILL)
    while time.monotonic() - killed_at < RECOVERY_S:
        await asyncio.sleep(0.1)
        back = running_stack(data_dir).pids.get(victim, old) != old
        calm_since = max(tally.last_degraded, killed_at)
        if back and time.monotonic() - calm_since > CALM_S:
            return tally, max(tally.last_degraded - killed_at, 0.0)
    return tally, float("inf")


async def run(url: str, data_dir: Path, console: Console) -> bool:
    """Drills every victim, then counts events; True when nothing was lost, doubled or failed."""
    items = [str(item) for item in pl.read_parquet(data_dir / "lake" / "items.parquet")["external_id"]]
    table = Table(title="kill -9 under load")
    for heading in ("killed", "answers", "not 200", "served by", "degraded stages", "fresh again after s"):
        table.add_column(heading)
    good = True
    async with connected(url, data_dir) as client:
        load = Load(client, known_users(data_dir))
        tasks = [asyncio.create_task(load.recommendations(seed)) for seed in range(2)]
        tasks.append(asyncio.create_task(load.events(items)))
        for victim in VICTIMS:
            tally, seconds = await drill(load, data_dir, victim)
            bad = sum(count for status, count in tally.statuses.items() if status != 200)
            good = good and not bad and seconds < RECOVERY_S
            table.add_row(
                victim, str(tally.statuses.total()), str(bad), _counts(tally.served_by), _counts(tally.degraded),
                f"{seconds:.1f}",
            )  # fmt: skip
        load.stop.set()
        await asyncio.gather(*tasks)
    console.print(table)
    missing, doubled = await _in_lake(data_dir, set(load.accepted))
    console.print(
        f"Events: {len(load.accepted)} accepted with 202, {load.refused} refused, "
        f"{missing} missing from the lake, {doubled} in it twice."
    )
    return good and not missing and not doubled


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counter.most_common()) or "-"


async def _in_lake(data_dir: Path, accepted: set[str]) -> tuple[int, int]:
    """(missing, doubled) accepted events, after the lake had time to catch up."""
    ends_at = time.monotonic() + DRAIN_S
    while True:
        found = _live_events(data_dir).filter(pl.col("event_id").is_in(accepted))["event_id"]
        missing = len(accepted) - found.n_unique()
        if not missing or time.monotonic() > ends_at:
            return missing, found.len() - found.n_unique()
        await asyncio.sleep(0.5)


def _live_events(data_dir: Path) -> pl.DataFrame:
    files = [str(file) for file in (data_dir / "lake" / "events").rglob("*.parquet") if file.parent.name != "events"]
    if not files:
        return pl.DataFrame({"event_id": []}, schema={"event_id": pl.String})
    return pl.concat([pl.read_parquet(file, columns=["event_id"]) for file in files])


def main() -> None:
    """Exits with 1 when an answer failed or an event was lost or doubled."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--url", default="http://127.0.0.1:8000")
    arguments.add_argument("--data-dir", type=Path, default=Path(os.environ.get("CASCADE_DATA_DIR", ".data")))
    chosen = arguments.parse_args()
    sys.exit(0 if asyncio.run(run(chosen.url, chosen.data_dir, Console())) else 1)


if __name__ == "__main__":
    main()
