"""The rounds of one arm: pages asked of the real stack, the world's clicks sent back, and training in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from loadtests.simulation import policies, recording
from loadtests.simulation.base import copied
from loadtests.simulation.clicks import click_model
from loadtests.simulation.learning import learned
from loadtests.simulation.people import People
from loadtests.simulation.recording import Round
from loadtests.simulation.settings import POSITION, REFERENCES, Cell, Simulation
from loadtests.simulation.stack import Event, Stack, events_of, running
from loadtests.simulation.world import World

SETTLE_S = 1.0
"""From the lake knowing of a round until the catalogs beside the scorers do: changes are gathered on the way."""
Advance = Callable[[], None]
"""Called after every round."""


def play(plan: Simulation, world: World, cell: Cell, advance: Advance) -> None:
    """Plays one cell to its end and writes its results."""
    people = People(world, world.people(cell.seed, plan.users), click_model(cell.clicks), cell.seed, plan.drift)
    if cell.arm in REFERENCES:
        rounds = policies.play(cell.arm, plan, people)
    else:
        with copied(plan.base) as data_dir:
            rounds = asyncio.run(_play(plan, people, cell, data_dir, advance))
    recording.write(plan.file_of(cell), rounds)


async def _play(plan: Simulation, people: People, cell: Cell, data_dir: Path, advance: Advance) -> list[Round]:
    logs = plan.logs_of(cell)
    learn_log = logs / "learn.log"
    learn_log.unlink(missing_ok=True)
    rounds: list[Round] = []
    async with running(data_dir, logs / "stack.log") as stack:
        for turn in range(1, plan.rounds + 1):
            told = await _round(stack, people, turn, plan.concurrency)
            last_click = time.monotonic()
            missing = await stack.arrived()
            await asyncio.sleep(SETTLE_S)
            told = replace(told, flush_seconds=time.monotonic() - last_click - SETTLE_S, missing=missing)
            # Nobody would see what is learned from the last round.
            if cell.arm in POSITION and turn < plan.rounds:
                learning = await learned(stack, cell.arm, cell.seed, last_click, learn_log)
                told = replace(told, learning=learning)
            rounds.append(told)
            advance()
    return rounds


async def _round(stack: Stack, people: People, turn: int, concurrency: int) -> Round:
    """One page for everybody, `concurrency` at a time, then everybody's clicks: within a round nobody's page depends on
    how far the others have come, which would be chance.
    """
    people.begin(turn)
    started = time.monotonic()
    waiting = iter(range(people.rows.size))
    events: list[Event] = []

    async def visits() -> None:
        for row in waiting:
            user = int(people.world.user_ids[people.rows[row]])
            shown = await stack.page(user, people.shown[row])
            events.extend(events_of(user, shown, people.show(row, shown.items, shown.answer)))

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(visits())
    await stack.post(events)
    return replace(people.finished(turn), seconds=time.monotonic() - started)
