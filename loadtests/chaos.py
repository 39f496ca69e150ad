"""python -m loadtests.chaos: kill -9 of every service under steady load; nobody may notice more than `degraded`.

Recommendations and events flow all the time. For each service: kill it, watch answers become degraded and then fresh
again. In the end every event accepted with 202 must be in the lake, exactly once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from rich.console import Console

from loadtests.client import connected, known_users
from loadtests.drills import Finding, Load, Patience, counted, drill, events_line, findings_table, steady
from loadtests.lake_ids import live_event_ids
from services.local.stack import running_stack

VICTIMS = ("ranker", "retrieval", "features", "ingest")


async def run(url: str, data_dir: Path, console: Console) -> bool:
    """Drills every victim, then counts events; True when nothing was lost, doubled or failed."""
    items = [str(item) for item in pl.read_parquet(data_dir / "lake" / "items.parquet")["external_id"]]
    patience = Patience()
    async with (
        connected(url, data_dir) as client,
        steady(Load(client, known_users(data_dir), items)) as load,
    ):
        findings = [await kill(load, data_dir, victim, patience) for victim in VICTIMS]
    console.print(findings_table("kill -9 under load", findings))

    async def lake_ids() -> Sequence[str]:
        return await asyncio.to_thread(live_event_ids, data_dir / "lake")

    count = await counted(load.accepted, lake_ids, patience)
    console.print(events_line(load, count), soft_wrap=True)
    well = all(not finding.tally.failed and finding.seconds < patience.recovery for finding in findings)
    return well and not count.missing and not count.doubled


async def kill(load: Load, data_dir: Path, victim: str, patience: Patience) -> Finding:
    """Kills one process of the stack."""
    old = running_stack(data_dir).pids[victim]

    async def break_it() -> None:
        os.kill(old, signal.SIGKILL)

    async def is_back() -> bool:
        return running_stack(data_dir).pids.get(victim, old) != old

    return await drill(load, victim, break_it, is_back, patience)


def main() -> None:
    """Exits with 1 when an answer failed or an event was lost or doubled."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--url", default="http://127.0.0.1:8000")
    arguments.add_argument("--data-dir", type=Path, default=Path(os.environ.get("CASCADE_DATA_DIR", ".data")))
    chosen = arguments.parse_args()
    sys.exit(0 if asyncio.run(run(chosen.url, chosen.data_dir, Console())) else 1)


if __name__ == "__main__":
    main()
