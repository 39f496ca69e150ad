"""How soon the loop closes: event to feature, event to changed ranking, and click to served model on the schedule.

The first two on an idle stack. For the third the trainer runs as it does in a demo while people keep asking and
clicking, since both its schedule and its rollout live on them.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.client import Client, connected, known_users
from loadtests.freshness import measure
from loadtests.simulation.base import copied
from loadtests.simulation.people import People
from loadtests.simulation.settings import Simulation
from loadtests.simulation.stack import Stack, events_of, running
from services.runtime.errors import Unavailable

TRIES = 50
TRY_S = 10.0
"""An event that is not a feature by then has failed."""
SCHEDULE_S = 1800.0
"""Longest wait for the schedule's model."""
PAUSE_S = 0.25
"""Between two pages of one visitor: about ten pages a second altogether."""
VISITORS = 3


@dataclass(frozen=True, slots=True)
class Freshness:
    """Seconds; empty where it was not measured."""

    event_to_feature: tuple[float, ...] = ()
    """From the post to the user's history as features tells it."""
    event_to_ranking: tuple[float, ...] = ()
    """From the post to an answer ranked with it."""
    click_to_challenger: float | None = None
    """From the first click to the first page of a model that learned from it, on the schedule."""
    click_to_champion: float | None = None
    """From the first click to that model serving everybody, on the schedule."""

    def write(self, path: Path) -> None:
        """Replaces the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(self)))
        os.replace(draft, path)

    @classmethod
    def read(cls, path: Path) -> Freshness:
        """What `write` kept; nothing measured where it did not."""
        try:
            kept: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            return cls()
        for name in ("event_to_feature", "event_to_ranking"):
            kept[name] = tuple(kept[name])
        return cls(**kept)


def measured(plan: Simulation, people: People | None) -> Freshness:
    """Measures on a stack of its own; the schedule too where there are `people` to keep it busy."""
    with copied(plan.base) as data_dir:
        return asyncio.run(_measured(plan, people, data_dir))


async def _measured(plan: Simulation, people: People | None, data_dir: Path) -> Freshness:
    trainer = {"CASCADE_TRAINER": "true"} if people else {}
    async with running(data_dir, plan.results / "logs" / "freshness" / "stack.log", trainer) as stack:
        users = known_users(data_dir)
        chosen = np.random.default_rng(0).choice(len(users), TRIES, replace=False)
        async with connected(stack.url, data_dir) as client:
            features = [await event_to_feature(client, users[row]) for row in chosen.tolist()]
        rankings = [one.seconds for one in await measure(stack.url, data_dir, TRIES)]
        challenger, champion = await _on_schedule(stack, people) if people else (None, None)
    return Freshness(tuple(features), tuple(rankings), challenger, champion)


async def event_to_feature(client: Client, user: str) -> float:
    """Seconds from a click to a history that begins with it; infinite after TRY_S."""
    _, page = await client.recommend(user)
    item = page["items"][-1]["item_id"]
    started = time.monotonic()
    await client.send(user, item)
    while time.monotonic() - started < TRY_S:
        async with client.session.get(f"{client.url}/v1/users/{user}") as response:
            history = json.loads(await response.read()).get("history", [])
        if history and history[0]["item_id"] == item:
            return time.monotonic() - started
        await asyncio.sleep(0.01)
    return float("inf")


async def _on_schedule(stack: Stack, people: People) -> tuple[float | None, float]:
    """Seconds from the first click to the first page by a new model, and to a new champion. Unavailable without one."""
    before = await stack.champions()
    clicked: list[float] = []
    shown_new: list[float] = []
    rows = iter(range(people.rows.size))
    turns = iter(range(1, 1_000_000))

    async def visits() -> None:
        nonlocal rows
        while True:
            row = next(rows, None)
            if row is None:
                people.begin(next(turns))
                rows = iter(range(people.rows.size))
                continue
            user = int(people.world.user_ids[people.rows[row]])
            shown = await stack.page(user, people.shown[row][-900:])
            if any(version != before.get(name, version) for name, version in shown.versions.items()):
                shown_new.append(time.monotonic())
            events = list(events_of(user, shown, people.show(row, shown.items, shown.answer)))
            await stack.post(events)
            clicked.extend([time.monotonic()] * bool(events))
            await asyncio.sleep(PAUSE_S)

    people.begin(next(turns))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(visits()) for _ in range(VISITORS)]
        ends_at = time.monotonic() + SCHEDULE_S
        while (champions := await stack.champions()) == before or not clicked:
            if time.monotonic() > ends_at:
                raise Unavailable(f"No new model served within {SCHEDULE_S:g} s: {champions} as before.")
            await asyncio.sleep(1.0)
        served = time.monotonic()
        for task in tasks:
            task.cancel()
    return (shown_new[0] - clicked[0] if shown_new else None), served - clicked[0]


def told(seconds: Sequence[float]) -> str:
    """p50, p95 and the worst, in milliseconds."""
    p50, p95, worst = np.percentile(seconds, (50, 95, 100), method="nearest") * 1000
    return f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, max {worst:.0f} ms"
