"""A release goes out to simulated visitors; how soon a guardrail ends it, and what the visitors noticed."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from rich import box
from rich.console import Console
from rich.table import Table

from loadtests.client import Client, connected, known_users
from loadtests.population import Habits, acts_on
from loadtests.visits import Visit
from services.runtime.registry import Registry
from services.trainer.rollout.release import start_release

DEADLINE_S = 600.0
"""A release that is still on its way then was not stopped."""
POLL_S = 0.25
PROMISED_S = 60.0
"""From the first bad answer to the end of the release."""
SETTLED_S = 3.0
"""Requests that were on their way when the release ended are answered by then."""
IN_FLIGHT = 32
"""Visitors at once, at most: a stack that answers late is not buried."""
ENDED = ("rolled_back", "champion")


@dataclass(slots=True)
class Noticed:
    """What visitors saw of a release."""

    challenger: str
    """model -> version that answers of the challenger name, as one text each: "ranker 12"."""
    answers: int = 0
    failed: int = 0
    """Not answered with 200, or without an item."""
    degraded: Counter[str] = field(default_factory=Counter)
    by_challenger: int = 0
    first: float = 0.0
    """Monotonic time of the first answer that was the challenger's; 0 when there was none."""
    last: float = 0.0

    def answer(self, status: int, answer: Mapping[str, Any]) -> None:
        """Counts one answer."""
        self.answers += 1
        if status != 200 or not answer.get("items"):
            self.failed += 1
            return
        self.degraded.update(entry["stage"] for entry in answer["degraded"])
        if self.challenger in (f"{name} {version}" for name, version in answer["model_versions"].items()):
            self.by_challenger += 1
            self.last = time.monotonic()
            self.first = self.first or self.last


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a release ended."""

    stage: str
    """rolled_back, champion, or the stage it was in at the deadline."""
    caught_in: str
    """The stage before."""
    reason: str
    seconds: float
    """From its start to its end."""
    noticed: Noticed
    exposed: float
    """Seconds from the first answer that was the challenger's to the end; 0 when nobody got one."""

    @property
    def well(self) -> bool:
        """True when it was rolled back in time and every visitor got an answer."""
        return self.stage == "rolled_back" and self.exposed <= PROMISED_S and not self.noticed.failed


async def drill(url: str, data_dir: Path, registry: Registry, versions: Mapping[str, str], rate: float) -> Outcome:
    """Releases versions under `rate` visitors a second and waits for the end."""
    model = "ranker" if "ranker" in versions else "two_tower"
    noticed = Noticed(f"{model} {versions[model]}")
    async with connected(url, data_dir) as client:
        visitors = asyncio.create_task(_visitors(client, known_users(data_dir), rate, noticed))
        try:
            begun = time.monotonic()
            release = await asyncio.to_thread(start_release, registry, versions)
            told, caught_in = await _end_of(client, release)
            ended = time.monotonic()
            await asyncio.sleep(SETTLED_S)
        finally:
            visitors.cancel()
            await asyncio.gather(visitors, return_exceptions=True)
    exposed = ended - noticed.first if noticed.first else 0.0
    return Outcome(told["stage"], caught_in, told["reason"], ended - begun, noticed, exposed)


async def _end_of(client: Client, release: str) -> tuple[dict[str, Any], str]:
    """What the gateway tells of the release once it has ended, and the stage it was in before."""
    stage, ends_at = "", time.monotonic() + DEADLINE_S
    while True:
        async with client.session.get(f"{client.url}/v1/rollout") as response:
            told: dict[str, Any] = await response.json()
        if response.status == 200 and told["rollout_id"] == release:
            if told["stage"] in ENDED or time.monotonic() > ends_at:
                return told, stage
            stage = f"{told['stage']} {told['share']:.0%}" if told["share"] else told["stage"]
        elif time.monotonic() > ends_at:
            return {"stage": "unknown", "reason": str(told.get("detail", ""))}, stage
        await asyncio.sleep(POLL_S)


async def _visitors(client: Client, users: list[str], rate: float, noticed: Noticed) -> None:
    draw, places = random.Random(0), asyncio.Semaphore(IN_FLIGHT)
    async with asyncio.TaskGroup() as group:
        while True:
            await places.acquire()
            visit = group.create_task(_visit(client, draw.choice(users), draw.random(), noticed))
            visit.add_done_callback(lambda _: places.release())
            await asyncio.sleep(draw.expovariate(rate))


async def _visit(client: Client, user: str, seed: float, noticed: Noticed) -> None:
    visit = Visit.start(user, random.Random(seed))
    try:
        status, answer = await client.recommend(user)
        noticed.answer(status, answer)
        if status != 200:
            return
        if acts := acts_on(user, answer["items"], Habits(), visit.draw):
            body = visit.events(acts, answer["recommendation_id"])
            async with client.session.post(f"{client.url}/v1/events", json=body) as response:
                await response.read()
    except (aiohttp.ClientError, TimeoutError):
        noticed.answer(0, {})


def show_outcomes(console: Console, outcomes: Mapping[str, Outcome]) -> None:
    """One line a release, then what ended it.

    "seen s" is the time from the first answer that was its own to its end; "by it" counts those answers.
    """
    table = Table(title="Past the gate", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("model", "ended", "in"):
        table.add_column(heading, no_wrap=True)
    for heading in ("after s", "seen s", "answers", "by it", "failed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, outcome in outcomes.items():
        seen, colour = outcome.noticed, "green" if outcome.well else "red"
        table.add_row(
            name,
            f"[{colour}]{outcome.stage.replace('_', ' ')}",
            outcome.caught_in,
            f"{outcome.seconds:.1f}",
            f"{outcome.exposed:.1f}" if seen.by_challenger else "never",
            *(str(count) for count in (seen.answers, seen.by_challenger, seen.failed)),
        )
    console.print(table)
    for name, outcome in outcomes.items():
        console.print(f"  {name}: {outcome.reason}", soft_wrap=True, highlight=False)
