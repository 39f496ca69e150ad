"""One of two upstreams is killed under load and comes back: who noticed, and how soon its breaker opened and closed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from loadtests.llm import peers
from loadtests.llm.configs import KEY
from loadtests.llm.latency import fresh
from loadtests.llm.peers import Peer
from loadtests.llm.rounds import Plan, Seen

WORDS, SECONDS_A_WORD = 10, 0.03
"""An answer takes 0.3 s, so that many are on their way when the upstream dies."""
WHOLE_RATE, STREAM_RATE = 100.0, 30.0
CALM_SECONDS = 2.0
"""Before the kill, while it is away, and after it is back."""
WATCH_SECONDS = 20.0
"""A breaker that has not moved by then did not."""
POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Killing:
    """What came of it. Seconds are NaN when it never happened."""

    whole: Seen
    streamed: Seen
    opened_seconds: float
    """From the kill to the open breaker."""
    closed_seconds: float
    """From the moment the upstream answered again to the closed breaker."""

    @property
    def broken_streams(self) -> int:
        """Had begun and ended before their end: an error in the stream, as nothing may be sent twice."""
        return self.streamed.streams.get("broke_off", 0)

    @property
    def restarted_streams(self) -> int:
        """Had begun and were begun again."""
        return self.streamed.streams.get("restarted", 0)


async def measure(folder: Path) -> Killing:
    """A gateway and two upstreams of its own, whole calls and streams from two clients."""
    seconds = 3 * CALM_SECONDS + 4.0
    async with AsyncExitStack() as stack:
        red = await stack.enter_async_context(_upstream(folder, "red"))
        blue = await stack.enter_async_context(_upstream(folder, "blue"))
        ours = await stack.enter_async_context(peers.gateway(folder, [red.port, blue.port]))
        callers = [await stack.enter_async_context(peers.caller()) for _ in range(2)]
        plans = [
            Plan(ours.url, KEY, round(rate * seconds), rate=rate, first=fresh(), max_tokens=WORDS, stream=stream)
            for rate, stream in ((WHOLE_RATE, False), (STREAM_RATE, True))
        ]
        load = [asyncio.create_task(caller.run(plan)) for caller, plan in zip(callers, plans, strict=True)]
        await asyncio.sleep(CALM_SECONDS)
        red.process.kill()
        opened = await _breaker(ours, red, "open")
        await asyncio.sleep(CALM_SECONDS)
        await stack.enter_async_context(_upstream(folder, "red", red.port))
        closed = await _breaker(ours, red, "closed")
        whole, streamed = await asyncio.gather(*load)
    return Killing(whole, streamed, opened, closed)


@asynccontextmanager
async def _upstream(folder: Path, name: str, port: int = 0) -> AsyncIterator[Peer]:
    async with peers.upstream(folder, name, port=port, words=WORDS, seconds_a_word=SECONDS_A_WORD) as peer:
        yield peer


async def _breaker(ours: Peer, upstream: Peer, wanted: str) -> float:
    """Seconds until the breaker of an upstream is in the state; NaN when it does not get there."""
    started, url = time.monotonic(), f"openai://127.0.0.1:{upstream.port}/v1"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        while (spent := time.monotonic() - started) < WATCH_SECONDS:
            async with session.get(f"{ours.url}/health/ready") as response:
                models = (await response.json())["models"]
            states = {backend["url"]: backend["breaker"] for model in models for backend in model["backends"]}
            if states[url] == wanted:
                return spent
            await asyncio.sleep(POLL_SECONDS)
    return float("nan")
