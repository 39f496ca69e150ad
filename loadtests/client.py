"""The stack as a client program sees it: one session, the keys of the data folder, five calls."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import polars as pl

from loadtests.access import found_keys


@dataclass(frozen=True, slots=True)
class Client:
    """REST calls of a user's browser."""

    session: aiohttp.ClientSession
    url: str

    async def recommend(self, user: str, n: int = 10) -> tuple[int, dict[str, Any]]:
        """(status, answer) of POST /v1/recommendations."""
        body = {"user_id": user, "surface": "home", "n": n}
        async with self.session.post(f"{self.url}/v1/recommendations", json=body) as response:
            return response.status, json.loads(await response.read())

    async def trace(self, recommendation_id: str) -> dict[str, Any]:
        """Why these items: what the gateway tells of an answer it gave."""
        async with self.session.get(f"{self.url}/v1/requests/{recommendation_id}/trace") as response:
            answer: dict[str, Any] = json.loads(await response.read())
            return answer

    async def popular(self, n: int = 100) -> list[str]:
        """Ids of popular items."""
        async with self.session.get(f"{self.url}/v1/popular", params={"n": n}) as response:
            return [item["item_id"] for item in json.loads(await response.read())["items"]]

    async def send(self, user: str, item: str, kind: str = "click") -> tuple[int, str]:
        """(status, event id) of one event."""
        event_id = uuid.uuid4().hex
        event = {"event_id": event_id, "type": kind, "user_id": user, "item_id": item}
        async with self.session.post(f"{self.url}/v1/events", json={"events": [event]}) as response:
            await response.read()
            return response.status, event_id


@asynccontextmanager
async def connected(url: str, data_dir: Path) -> AsyncIterator[Client]:
    """A client with the write key of the data folder."""
    async with connected_by_key(url, found_keys({**os.environ, "CASCADE_DATA_DIR": str(data_dir)}).write) as client:
        yield client


@asynccontextmanager
async def connected_by_key(url: str, key: str) -> AsyncIterator[Client]:
    """A client with an API key."""
    async with aiohttp.ClientSession(
        headers={"X-API-Key": key},
        timeout=aiohttp.ClientTimeout(total=30),
        connector=aiohttp.TCPConnector(limit=0),
    ) as session:
        yield Client(session, url)


def known_users(data_dir: Path) -> list[str]:
    """External ids of the lake's users."""
    return [str(user) for user in pl.read_parquet(data_dir / "lake" / "users.parquet")["external_id"]]
