"""Visitors who keep asking while models change, and what they notice: which version answered, and what failed.

async with visiting(client, Crowd.of(data_dir), rate=10) as noticed:
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
from pathlib import Path
from typing import Any, Self

import aiohttp
import polars as pl

from loadtests.client import Client
from loadtests.population import Act, Habits, acts_on
from loadtests.visits import Visit
from services.trainer.data.lake import read_events

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


@dataclass(frozen=True, slots=True)
class Crowd:
    """Who may come, and how much everybody likes each item beside what one's own taste says."""

    users: Sequence[str]
    quality: Mapping[str, float]
    """Item -> 0 to 1: log(1 + its events in the lake), by that of the item with most."""

    @classmethod
    def of(cls, data_dir: Path) -> Self:
        """The lake's users, who like best what is known best: a model that shows the opposite is clicked less."""
        lake = data_dir / "lake"
        users = pl.read_parquet(lake / "users.parquet")["external_id"].cast(pl.String)
        counts = read_events(lake)["item_id"].value_counts()
        liked = counts.join(pl.read_parquet(lake / "items.parquet"), on="item_id").select(
            pl.col("external_id").cast(pl.String), pl.col("count").log1p() / pl.col("count").log1p().max()
        )
        return cls(users.to_list(), dict(liked.iter_rows()))

    def acts(self, visit: Visit, user: str, items: Sequence[Mapping[str, Any]]) -> list[Act]:
        """What one of them does with a page."""
        kept = [item for item in items if visit.draw.random() < self.quality.get(str(item["item_id"]), 0.0)]
        wanted = {item["item_id"] for item in kept}
        return [act for act in acts_on(user, items, Habits(), visit.draw) if act.item_id in wanted]


@asynccontextmanager
async def visiting(client: Client, crowd: Crowd, rate: float) -> AsyncIterator[Noticed]:
    """`rate` visits a second, until the block ends: a page, and what a person does with it."""
    noticed = Noticed()
    visitors = asyncio.create_task(_visitors(client, crowd, rate, noticed))
    try:
        yield noticed
    finally:
        visitors.cancel()
        await asyncio.gather(visitors, return_exceptions=True)


async def _visitors(client: Client, crowd: Crowd, rate: float, noticed: Noticed) -> None:
    draw, places = random.Random(0), asyncio.Semaphore(IN_FLIGHT)
    async with asyncio.TaskGroup() as group:
        while True:
            await places.acquire()
            visit = group.create_task(_visit(client, crowd, draw.random(), noticed))
            visit.add_done_callback(lambda _: places.release())
            await asyncio.sleep(draw.expovariate(rate))


async def _visit(client: Client, crowd: Crowd, seed: float, noticed: Noticed) -> None:
    draw = random.Random(seed)
    user = draw.choice(crowd.users)
    visit = Visit.start(user, draw)
    try:
        status, answer = await client.recommend(user)
        noticed.answer(status, answer)
        if status != 200:
            return
        if acts := crowd.acts(visit, user, answer["items"]):
            body = visit.events(acts, answer["recommendation_id"])
            async with client.session.post(f"{client.url}/v1/events", json=body) as response:
                await response.read()
    except (aiohttp.ClientError, TimeoutError):
        noticed.answer(0, {})
