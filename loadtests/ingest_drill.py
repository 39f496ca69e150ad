"""python -m loadtests.ingest_drill: ingest killed again and again under shuffled, doubled and malformed events.

Needs nothing that runs: it starts a Redis, the in-memory broker and ingest as processes on free ports over a folder of
its own. In the end every valid event must be once in the lake and once in the features, as folding them one by one
makes them, and every malformed one must be a dead letter. The exit code is 1 when something is not.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table

from loadtests.ingest_events import Load, load
from loadtests.ingest_rig import rig
from loadtests.ingest_verdict import Verdict, verdict
from services.runtime.errors import CascadeError

PORTION = 2000
"""Records sent between two looks at how far ingest has come."""
MOST_BEHIND = 20_000
"""Records that may wait in the broker, which keeps five megabytes a partition and forgets the oldest."""
LONGEST_PAUSE_S = 1.0
"""A kill comes so long at most after ingest was seen working."""


@dataclass(frozen=True, slots=True)
class Run:
    """One way to make it hard."""

    name: str
    kills: int
    members: int = 1


@dataclass(frozen=True, slots=True)
class Result:
    """What a run found."""

    run: Run
    verdict: Verdict
    cpu_seconds: float
    """Of all ingest processes, from when the first was ready to when the last event was in the lake."""
    seconds: float


def drill(run: Run, sent: Load, seed: int, console: Console) -> Result:
    """Sends everything, kills meanwhile, waits until all is read, and judges."""
    draw = Random(seed)
    with tempfile.TemporaryDirectory(prefix="ingest-drill-") as folder, rig(Path(folder)) as stores:
        members = [stores.start() for _ in range(run.members)]
        stores.wait_assigned(run.members)
        begun = stores.begin()
        at_record = sorted(draw.sample(range(len(sent.records) // 10, len(sent.records) * 9 // 10), run.kills))
        for start in range(0, len(sent.records), PORTION):
            stores.send(sent.records[start : start + PORTION])
            while at_record and at_record[0] < start + PORTION:
                at_record.pop(0)
                victim = draw.choice(members)
                stores.wait_working()
                stores.kill(victim, after=draw.random() * LONGEST_PAUSE_S)
                members.remove(victim)
                console.print(f"[dim]killed a member after {start + PORTION:,} records, {len(at_record)} kills to come")
                if run.members == 1:
                    members.append(stores.start())
            stores.wait_behind(MOST_BEHIND)
        stores.wait_behind(0)
        cpu_seconds, seconds = stores.used(begun)
        for member in members:
            stores.stop(member)
        return Result(run, verdict(stores.redis, stores.lake, stores.letters(), sent), cpu_seconds, seconds)


def told(results: list[Result], sent: Load) -> Table:
    """The table at the end, a column for each run."""
    table = Table("", *(result.run.name for result in results), title="Ingest under kill -9")
    lines: dict[str, Callable[[Result], str]] = {
        "records": lambda result: f"{len(sent.records):,}",
        "kills": lambda result: str(result.run.kills),
        "valid events": lambda result: f"{len(sent.events):,}",
        "in the lake": lambda result: f"{result.verdict.in_lake:,}",
        "missing in the lake": lambda result: str(result.verdict.missing),
        "doubled in the lake": lambda result: str(result.verdict.doubled),
        "users and items with wrong features": lambda result: str(result.verdict.wrong_features),
        "malformed records": lambda result: f"{len(sent.malformed):,}",
        "dead letters": lambda result: f"{result.verdict.letters:,}",
        "of them written again after a kill": lambda result: str(result.verdict.letters_twice),
        "malformed without a letter, or letters too many": lambda result: str(result.verdict.letters_wrong),
        "seconds": lambda result: f"{result.seconds:.0f}",
        "CPU seconds, starts included": lambda result: f"{result.cpu_seconds:.1f}",
        "records/s per core": lambda result: f"{len(sent.records) / result.cpu_seconds:,.0f}",
    }
    for name, cell in lines.items():
        table.add_row(name, *map(cell, results))
    return table


def main() -> None:
    """Exits with 1 when an event is missing, doubled or not in the features, with 2 when the drill cannot be held."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=100_000, help="records in all")
    arguments.add_argument("--kills", type=int, default=10, help="kill -9 of the one member, which is started again")
    arguments.add_argument("--members", type=int, choices=(1, 2), default=1, help="2: one of two is killed for good")
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    if options.events < 10 * PORTION:
        arguments.error(f"--events must be {10 * PORTION} at least, or no kill finds ingest working")
    runs = [Run("undisturbed", 0), Run("killed", options.kills)]
    if options.members == 2:
        runs = [Run("one of two killed", 1, members=2)]
    console, sent = Console(), load(options.events, options.seed)
    try:
        results = [drill(run, sent, options.seed, console) for run in runs]
    except CascadeError as error:
        print(f"ingest_drill: {error.sentence}", file=sys.stderr)
        sys.exit(2)
    console.print(told(results, sent))
    sys.exit(0 if all(result.verdict.well for result in results) else 1)


if __name__ == "__main__":
    main()
