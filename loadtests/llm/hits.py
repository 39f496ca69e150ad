"""An answer out of the exact cache: over loopback, as a single client sees it, and in process, without any socket."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.types import Message, Scope

from loadtests.llm import configs
from loadtests.llm.latency import fresh
from loadtests.llm.others import Others
from loadtests.llm.peers import Caller, Peer
from loadtests.llm.plain_caller import plain_caller
from loadtests.llm.rounds import Plan, median, quantile
from services.llm.app import App
from services.llm.opened import opened
from services.llm.settings import LlmSettings
from services.llm.wire.routes import Routes

ROUNDS = 10
BATCH = 100
"""Calls in process between two looks at the clock."""


@dataclass(frozen=True, slots=True)
class Hits:
    """Milliseconds."""

    loopback_p50: float
    """Over one connection, by a client without work of its own."""
    loopback_p99: float
    aiohttp_p50: float
    """The same as a Python program sees it, its HTTP library's time included."""
    cpu: float
    """Of the gateway's process for a hit over loopback."""
    in_process: float
    """From the request's bytes to the answer's, without HTTP: the median over batches."""


@dataclass(frozen=True, slots=True)
class Round:
    """Some calls over loopback."""

    others: float
    """Share of the CPU that other processes took."""
    p50: float
    p99: float
    aiohttp_p50: float
    cpu: float


async def measure(caller: Caller, ours: Peer, upstream: Peer, folder: Path, calls: int) -> Hits:
    """`calls` equal calls one after the other, and as many in this process; told is the quieter half of ten rounds."""
    plan = Plan(ours.url, configs.KEY, max(BATCH, calls // ROUNDS), first=fresh(), same=True)
    await caller.run(plan)
    rounds = [await _round(caller, ours, plan) for _ in range(ROUNDS)]
    # By what others took alone: by the figures it would be a choice of the fastest.
    quieter = sorted(rounds, key=lambda one: one.others)[: ROUNDS // 2]
    p50, p99, aiohttp_p50, cpu = (
        median([getattr(one, figure) for one in quieter]) for figure in ("p50", "p99", "aiohttp_p50", "cpu")
    )
    return Hits(p50, p99, aiohttp_p50, cpu, await _in_process(plan, upstream, folder, calls))


async def _round(caller: Caller, ours: Peer, plan: Plan) -> Round:
    others, before = Others(), ours.cpu_seconds
    times = await asyncio.to_thread(_asked, plan)
    cpu = (ours.cpu_seconds - before) * 1000 / plan.calls
    share = others.share
    library = await caller.run(plan)
    return Round(share, quantile(times, 0.5), quantile(times, 0.99), library.quantile(0.5), cpu)


def _asked(plan: Plan) -> list[float]:
    times = list[float]()
    with plain_caller(plan) as calls:
        for _ in range(plan.calls):
            milliseconds, head = calls.call()
            assert b"x-cascade-cache: exact" in head
            times.append(milliseconds)
    return times


async def _in_process(plan: Plan, upstream: Peer, folder: Path, calls: int) -> float:
    data_dir = folder / "in-process"
    data_dir.mkdir()
    config = data_dir / "models.toml"
    config.write_text(configs.ours([upstream.port], guardrails=True))
    os.environ |= {"BENCH_KEY": configs.KEY, "BENCH_POOR_KEY": configs.POOR_KEY}
    settings, body = LlmSettings(data_dir=data_dir, config=config), plan.body(0)
    async with opened(settings) as pipeline:
        app, batches = App(Routes(pipeline), settings.body_bytes, settings.concurrent_requests), list[float]()
        await _call(app, body)
        for _ in range(calls // BATCH):
            started = time.perf_counter()
            for _ in range(BATCH):
                headers = await _call(app, body)
                assert headers[b"x-cascade-cache"] == b"exact"
            batches.append((time.perf_counter() - started) * 1000 / BATCH)
    return median(batches)


async def _call(app: App, body: bytes) -> Mapping[bytes, bytes]:
    """The headers of the answer to a caller that does not hang up."""
    asked, headers = False, dict[bytes, bytes]()

    async def receive() -> Message:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": body}

    async def send(message: Message) -> None:
        headers.update(message.get("headers", ()))

    await app(_SCOPE, receive, send)
    return headers


_SCOPE: Scope = {
    "type": "http",
    "method": "POST",
    "path": "/v1/chat/completions",
    "headers": [(b"authorization", f"Bearer {configs.KEY}".encode()), (b"content-type", b"application/json")],
}
