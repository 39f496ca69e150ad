"""python -m loadtests.simulation: what retraining on its own clicks is worth, with simulated users and the real stack.

A run that is cut short goes on where it was: cells that are done are not played again.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from loadtests.simulation.base import prepared, train_base
from loadtests.simulation.clicks import click_model
from loadtests.simulation.freshness import measured
from loadtests.simulation.people import People
from loadtests.simulation.report import write_report
from loadtests.simulation.runner import play
from loadtests.simulation.settings import ARMS, Cell, Simulation
from loadtests.simulation.world import World
from services.runtime.errors import CascadeError
from services.trainer.data.sources import SOURCES
from services.trainer.progress import Steps


def main() -> None:
    """Exits with 2 and one sentence when something is missing, with 130 after Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        plan, freshness, schedule = _chosen()
        run(plan, Steps(), freshness=freshness or schedule, schedule=schedule)
    except (CascadeError, ValueError) as error:
        print(f"simulation: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def run(plan: Simulation, steps: Steps, *, freshness: bool, schedule: bool) -> None:
    """Plays what is not done yet, measures freshness where asked, then writes and shows the report."""
    world = prepared(plan, steps)
    open_cells = [cell for cell in plan.cells() if not plan.file_of(cell).is_file()]
    if open_cells or freshness:
        train_base(plan, steps)
    for cell in plan.references():
        if not plan.file_of(cell).is_file():
            play(plan, world, cell, lambda: None)
    _play_all(plan, world, open_cells, steps.console)
    if freshness:
        people = People(world, world.people(0, plan.users), click_model("position"), 0) if schedule else None
        with steps.step("freshness: up to half an hour with the schedule" if schedule else "freshness: measured"):
            measured(plan, people).write(plan.freshness_file)
    path = write_report(plan, world)
    steps.console.print(Markdown(path.read_text()))
    steps.console.print(f"The report: {path}", soft_wrap=True)


def _play_all(plan: Simulation, world: World, cells: list[Cell], console: Console) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    left = (TextColumn("left"), TimeRemainingColumn())
    with Progress(*columns, *left, console=console, transient=True) as progress:
        task = progress.add_task("simulation", total=len(cells) * plan.rounds)
        for place, cell in enumerate(cells):
            name = f"{cell.clicks}, {cell.arm}, seed {cell.seed}"
            progress.update(task, description=name)
            started = time.monotonic()
            play(plan, world, cell, lambda: progress.advance(task))
            progress.update(task, completed=(place + 1) * plan.rounds)
            console.print(f"  [green]✓[/] {name} [dim]{time.monotonic() - started:.0f} s")


def _chosen() -> tuple[Simulation, bool, bool]:
    """The plan, and whether freshness and the schedule are measured; ValueError for what cannot be."""
    default = Simulation()
    parser = argparse.ArgumentParser(prog="python -m loadtests.simulation", description=__doc__)
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("CASCADE_DATA_DIR", ".data")))
    parser.add_argument("--dataset", choices=sorted(SOURCES), default=default.dataset)
    parser.add_argument("--seeds", type=int, default=default.seeds, help="populations, each with luck of its own")
    parser.add_argument("--users", type=int, default=default.users)
    parser.add_argument("--rounds", type=int, default=default.rounds)
    parser.add_argument("--clicks", nargs="+", default=default.clicks, help="position[-ETA], cascade")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=default.arms)
    parser.add_argument("--drift", type=float, default=default.drift, help="radians by which taste turns a round")
    parser.add_argument("--concurrency", type=int, default=default.concurrency, help="pages asked for at a time")
    parser.add_argument("--quick", action="store_true", help="1 seed, 100 users, 3 rounds")
    parser.add_argument("--freshness", action="store_true", help="measure how soon an event counts, too")
    parser.add_argument("--schedule", action="store_true", help="and how soon a model does, on the trainer's schedule")
    chosen = vars(parser.parse_args())
    if chosen.pop("quick"):
        chosen |= {"seeds": 1, "users": 100, "rounds": 3}
    measures = chosen.pop("freshness"), chosen.pop("schedule")
    plan = Simulation(**chosen)
    for name in ("seeds", "users", "rounds", "concurrency"):
        if getattr(plan, name) < 1:
            raise ValueError(f"--{name} is {getattr(plan, name)}; it must be at least 1.")
    for name in plan.clicks:
        click_model(name)
    return plan, *measures


if __name__ == "__main__":
    main()
