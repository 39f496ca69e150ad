"""The stack as a client program sees it: one session, the keys of the data folder, four calls."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import polars as pl

from services.gateway.keys import read_or_create_keys


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
    async with aiohttp.ClientSession(
        headers={"X-API-Key": read_or_create_keys(data_dir).write},
        timeout=aiohttp.ClientTimeout(total=30),
        connector=aiohttp.TCPConnector(limit=0),
    ) as session:
        yield Client(session, url)


def known_users(data_dir: Path) -> list[str]:
    """External ids of the lake's users."""
    return [str(user) for user in pl.read_parquet(data_dir / "lake" / "users.parquet")["external_id"]]
