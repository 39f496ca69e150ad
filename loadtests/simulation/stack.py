"""The stack as the simulation drives it: its settings, its pages, its events, and when everything has arrived."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from loadtests.access import found_keys
from loadtests.simulation.arrivals import POLL_S, Arrivals, arrived
from loadtests.simulation.clicks import Reaction
from loadtests.simulation.people import Answer
from loadtests.simulation.settings import SHOWN
from services.local.stack import local_stack

DEADLINE_MS = 2000
"""Budget of a page and of each of its stages: a busy machine must not change what is shown."""
EXPLORATION = 0.1
"""Share of pages whose last place is given to a draw."""
BATCH = 500
"""Events posted together."""
LOADED_S = 60.0
"""Longest wait for published models to serve."""
ENVIRONMENT = {
    **{
        f"CASCADE_{name}_PORT": "0"
        for name in ("REDIS", "KAFKA", "FEATURES", "RETRIEVAL", "RANKER", "RERANKER", "INGEST", "GATEWAY", "TRAINER")
    },
    **{f"CASCADE_GATEWAY_{stage}_MS": str(DEADLINE_MS) for stage in ("FEATURES", "RETRIEVAL", "RANKING", "RERANKING")},
    "CASCADE_REDIS_URL": "",
    "CASCADE_KAFKA_URL": "",
    "CASCADE_REGISTRY_URL": "",
    "CASCADE_INGEST_METRICS_PORT": "0",
    "CASCADE_TRAINER": "false",
    "CASCADE_LLM": "false",
    "CASCADE_INGEST_LAKE_SECONDS": "0.5",
    "CASCADE_LOG_LEVEL": "WARNING",
    "CASCADE_TRACE_SHARE": "0",
    "CASCADE_RERANKER_EXPLORATION__RATE": str(EXPLORATION),
}
"""One stack of our own, quick to flush; the loop retrains when the simulation says so."""


Event = dict[str, str | int]


@dataclass(frozen=True, slots=True)
class Shown:
    """A page as it came."""

    recommendation_id: str
    items: list[int]
    answer: Answer
    versions: dict[str, str] = field(default_factory=dict)
    """Model -> version that made it."""


class Stack:
    """The REST face of one running stack."""

    def __init__(self, session: aiohttp.ClientSession, url: str, data_dir: Path) -> None:
        self._session, self.url, self.data_dir = session, url, data_dir
        self._pages = Arrivals(data_dir / "lake" / "impressions", "recommendation_id")
        self._events = Arrivals(data_dir / "lake" / "events", "event_id")

    async def page(self, user: int, exclude: Sequence[int]) -> Shown:
        """The next page of a user; without items when the answer was an error."""
        body = {
            "user_id": str(user), "n": SHOWN, "deadline_ms": DEADLINE_MS, "exclude": [str(item) for item in exclude]
        }  # fmt: skip
        try:
            async with self._session.post(f"{self.url}/v1/recommendations", json=body) as response:
                told = json.loads(await response.read())
                if response.status != 200:
                    return Shown("", [], Answer("failed"))
        except (aiohttp.ClientError, TimeoutError):
            return Shown("", [], Answer("failed"))
        items = [int(card["item_id"]) for card in told["items"]]
        if items:
            self._pages.sent([told["recommendation_id"]])
        stages = tuple(entry["stage"] for entry in told["degraded"])
        explored = sum(card["slot"] == "explore" for card in told["items"])
        return Shown(
            told["recommendation_id"], items, Answer(told["served_by"], stages, explored), told["model_versions"]
        )

    async def post(self, events: Sequence[Event]) -> None:
        """What users did. RuntimeError when an event is refused: results would be those of another loop."""
        for start in range(0, len(events), BATCH):
            batch = events[start : start + BATCH]
            async with self._session.post(f"{self.url}/v1/events", json={"events": batch}) as response:
                told = json.loads(await response.read())
            if response.status != 202 or told["accepted"] != len(batch):
                raise RuntimeError(f"{len(batch)} events were not all accepted: {response.status} {told}")
            self._events.sent(str(event["event_id"]) for event in batch)

    async def arrived(self) -> int:
        """Waits until what was shown and done is in the lake; how many pages and events are not, in the end."""
        return await arrived([self._pages, self._events])

    async def serves(self, versions: dict[str, str]) -> bool:
        """Waits until every one of these versions, by model, is the champion in memory; False after LOADED_S."""
        ends_at = time.monotonic() + LOADED_S
        while time.monotonic() < ends_at:
            if versions.items() <= (await self.champions()).items():
                return True
            await asyncio.sleep(POLL_S)
        return False

    async def champions(self) -> dict[str, str]:
        """Model -> version of the champion, of those that are in memory."""
        async with self._session.get(f"{self.url}/v1/models") as response:
            told: list[dict[str, Any]] = json.loads(await response.read()).get("models", [])
        return {card["name"]: card["version"] for card in told if card["loaded"] and "champion" in card["aliases"]}


@asynccontextmanager
async def running(data_dir: Path, log: Path, more: dict[str, str] | None = None) -> AsyncIterator[Stack]:
    """A stack on a data folder for the length of the block; its log goes to a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        async with local_stack(data_dir, ENVIRONMENT | (more or {}), output=output, deadline_s=180.0) as stack:
            key = found_keys({"CASCADE_DATA_DIR": str(data_dir)}).write
            timeout = aiohttp.ClientTimeout(total=30)
            async with aiohttp.ClientSession(headers={"X-API-Key": key}, timeout=timeout) as session:
                yield Stack(session, stack.urls["gateway"], data_dir)


def events_of(user: int, shown: Shown, reaction: Reaction) -> Iterator[Event]:
    """A click for each clicked item, and a like where it satisfied, as REST takes them."""
    for kind, flags in (("click", reaction.clicked), ("like", reaction.liked)):
        for place in flags.nonzero()[0].tolist():
            yield {
                "event_id": f"{shown.recommendation_id}-{kind}-{place + 1}", "type": kind, "user_id": str(user),
                "item_id": str(shown.items[place]), "recommendation_id": shown.recommendation_id,
                "position": place + 1,
            }  # fmt: skip
