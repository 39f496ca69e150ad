"""Visitors who keep asking while models change, and what they notice: which version answered, and what failed.

async with visiting(client, users, rate=10) as noticed:
    ...
noticed.of("ranker 12").last
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from loadtests.client import Client
from loadtests.population import Habits, acts_on
from loadtests.visits import Visit

IN_FLIGHT = 32
"""Visitors at once, at most: a stack that answers late is not buried."""


@dataclass(slots=True)
class Seen:
    """Answers of one version; monotonic times of when they came, 0 when none did."""

    answers: int = 0
    first: float = 0.0
    last: float = 0.0


@dataclass(slots=True)
class Noticed:
    """What all visitors saw together."""

    answers: int = 0
    failed: int = 0
    """Not answered with 200, or without an item."""
    degraded: Counter[str] = field(default_factory=Counter)
    versions: dict[str, Seen] = field(default_factory=dict)
    """By model and version, as one text: "ranker 12"."""

    def of(self, version: str) -> Seen:
        """What was seen of a version."""
        return self.versions.setdefault(version, Seen())

    def answer(self, status: int, answer: Mapping[str, Any]) -> None:
        """Counts one answer."""
        self.answers += 1
        if status != 200 or not answer.get("items"):
            self.failed += 1
            return
        self.degraded.update(entry["stage"] for entry in answer["degraded"])
        for name, version in answer["model_versions"].items():
            seen = self.of(f"{name} {version}")
            seen.answers += 1
            seen.last = time.monotonic()
            seen.first = seen.first or seen.last


@asynccontextmanager
async def visiting(client: Client, users: Sequence[str], rate: float) -> AsyncIterator[Noticed]:
    """`rate` visits a second, until the block ends: a page, and what a person of some taste does with it."""
    noticed = Noticed()
    visitors = asyncio.create_task(_visitors(client, users, rate, noticed))
    try:
        yield noticed
    finally:
        visitors.cancel()
        await asyncio.gather(visitors, return_exceptions=True)


async def _visitors(client: Client, users: Sequence[str], rate: float, noticed: Noticed) -> None:
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
