"""A drill: steady recommendations and events, something breaks, all is well again. Whatever the stack runs on."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from rich.table import Table

from loadtests.client import Client
from loadtests.report import told

NO_ANSWER = 0
"""Stands for a status where there was none."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds."""

    calm: float = 3.0
    """Load before each break, and fresh answers needed after it."""
    recovery: float = 60.0
    """What takes longer to be well again has failed."""
    drain: float = 30.0
    """How long the last events may take to reach the lake."""
    poll: float = 0.1
    """Between two looks at what was broken."""


@dataclass(slots=True)
class Tally:
    """What came back during one drill."""

    statuses: Counter[int] = field(default_factory=Counter)
    """Of recommendations; NO_ANSWER counts too."""
    served_by: Counter[str] = field(default_factory=Counter)
    degraded: Counter[str] = field(default_factory=Counter)
    """By stage."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why stages were replaced, in the gateway's words."""
    accepted: int = 0
    """Events answered with 202."""
    refused: int = 0
    last_degraded: float = 0.0
    """Monotonic time of the last answer that was not fresh."""
    last_fresh: float = 0.0
    """Monotonic time of the last answer that was."""

    @property
    def failed(self) -> int:
        """Recommendations that were not answered with 200."""
        return self.statuses.total() - self.statuses[200]

    @property
    def not_fresh(self) -> int:
        """Recommendations from a cache or with a stage replaced."""
        return self.served_by.total() - self.served_by["fresh"]


@dataclass(slots=True)
class Load:
    """Steady traffic. `tally` is replaced at the start of each drill."""

    client: Client
    users: Sequence[str]
    items: Sequence[str]
    pause_s: float = 0.02
    """Between two calls of one client."""
    tally: Tally = field(default_factory=Tally)
    accepted: dict[str, str] = field(default_factory=dict)
    """Ids of all events that were answered with 202, with the drill during or before which that was."""
    drill: str = ""
    refused: int = 0
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def recommendations(self, seed: int) -> None:
        """One client that asks again and again."""
        draw = random.Random(seed)
        while not self.stop.is_set():
            try:
                status, answer = await self.client.recommend(draw.choice(self.users))
            except (aiohttp.ClientError, TimeoutError):
                status, answer = NO_ANSWER, {}
            self.tally.statuses[status] += 1
            if status == 200:
                self.tally.served_by[answer["served_by"]] += 1
                self.tally.degraded.update(entry["stage"] for entry in answer["degraded"])
                self.tally.reasons.update(entry["reason"] for entry in answer["degraded"])
            if status == 200 and answer["served_by"] == "fresh":
                self.tally.last_fresh = time.monotonic()
            else:
                self.tally.last_degraded = time.monotonic()
            await asyncio.sleep(self.pause_s)

    async def events(self, seed: int) -> None:
        """One client that posts again and again."""
        draw = random.Random(seed)
        while not self.stop.is_set():
            try:
                status, event_id = await self.client.send(draw.choice(self.users), draw.choice(self.items))
            except (aiohttp.ClientError, TimeoutError):
                status, event_id = NO_ANSWER, ""
            if status == 202:
                self.accepted[event_id] = self.drill
                self.tally.accepted += 1
            else:
                self.refused += 1
                self.tally.refused += 1
            await asyncio.sleep(self.pause_s)


@asynccontextmanager
async def steady(load: Load) -> AsyncIterator[Load]:
    """Two clients ask and one posts for the length of the block."""
    clients = [asyncio.create_task(load.recommendations(seed)) for seed in range(2)]
    clients.append(asyncio.create_task(load.events(2)))
    try:
        yield load
    finally:
        load.stop.set()
        await asyncio.gather(*clients)


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one drill."""

    broken: str
    tally: Tally
    seconds: float
    """From the break to the last answer that was not fresh; infinite when it never was well again."""


async def drill(
    load: Load,
    broken: str,
    break_it: Callable[[], Awaitable[None]],
    is_back: Callable[[], Awaitable[bool]],
    patience: Patience,
) -> Finding:
    """Breaks something and waits until it is back and answers were fresh for as long as the calm lasts."""
    load.drill = broken
    await asyncio.sleep(patience.calm)
    load.tally = tally = Tally()
    broken_at = time.monotonic()
    await break_it()
    back = False
    while time.monotonic() - broken_at < patience.recovery:
        await asyncio.sleep(patience.poll)
        back = back or await is_back()
        # By the answers' own times: while none comes, nothing is well.
        if back and tally.last_fresh - max(tally.last_degraded, broken_at) > patience.calm:
            return Finding(broken, tally, max(tally.last_degraded - broken_at, 0.0))
    return Finding(broken, tally, float("inf"))


def findings_table(title: str, findings: Sequence[Finding]) -> Table:
    """One line a drill."""
    table = Table(title=title)
    for heading in ("broken", "answers", "failed", "not fresh", "stages replaced", "events 202", "fresh after s"):
        table.add_column(heading)
    for finding in findings:
        tally = finding.tally
        table.add_row(
            finding.broken, str(tally.statuses.total()), str(tally.failed), str(tally.not_fresh),
            told(tally.degraded), str(tally.accepted), f"{finding.seconds:.1f}",
        )  # fmt: skip
    return table


@dataclass(frozen=True, slots=True)
class Count:
    """What became of the accepted events."""

    missing: Counter[str]
    """By drill."""
    doubled: int


async def counted(
    accepted: Mapping[str, str], lake_ids: Callable[[], Awaitable[Sequence[str]]], patience: Patience
) -> Count:
    """Compares with the lake, which has time to catch up; `accepted` holds the drill by event id."""
    ends_at = time.monotonic() + patience.drain
    while True:
        found = Counter(event_id for event_id in await lake_ids() if event_id in accepted)
        missing = Counter(drill for event_id, drill in accepted.items() if event_id not in found)
        if not missing or time.monotonic() > ends_at:
            return Count(missing, found.total() - len(found))
        await asyncio.sleep(0.5)


def events_line(load: Load, count: Count) -> str:
    """What became of the events, as a sentence."""
    where = f" ({told(count.missing)})" if count.missing else ""
    return (
        f"Events: {len(load.accepted)} accepted with 202, {load.refused} refused, "
        f"{count.missing.total()} missing from the lake{where}, {count.doubled} in it twice."
    )
