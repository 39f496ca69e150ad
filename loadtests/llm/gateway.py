"""python -m loadtests.llm.gateway: what our gateway adds to a call to a model, beside a direct call and LiteLLM.

Starts everything itself, on loopback: a fake upstream, our gateway with keys, limits, a budget, guardrails, caches and
metrics on, once more with guardrails off, and the LiteLLM proxy where it is found. Writes .data/bench/llm-gateway.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import uvloop
from rich.console import Console

from loadtests.llm import budget, hits, killing, memory, peers
from loadtests.llm.latency import RATES, Compared, compare, sustained
from loadtests.llm.peers import Caller, Peer
from loadtests.llm.verdicts import Report
from services.runtime.errors import Unavailable

RATE = 300.0
STREAM_RATE = 100.0
TARGET = Path("bench") / "llm-gateway.json"


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    turns: int
    seconds: float
    """Of a round; each turn has one for every peer."""
    stream_turns: int
    hits: int
    memory_calls: int
    rates: tuple[float, ...]
    """Calls a second that LiteLLM is tried at."""
    stream_rates: tuple[float, ...]


QUICK = Scale(
    turns=3, seconds=2.0, stream_turns=2, hits=1000, memory_calls=4000, rates=(75.0, 25.0), stream_rates=(25.0,)
)
FULL = Scale(
    turns=9,
    seconds=4.0,
    stream_turns=5,
    hits=5000,
    memory_calls=20_000,
    rates=RATES,
    stream_rates=(100.0, 75.0, 50.0, 25.0),
)


class Bench:
    """One run, part after part."""

    def __init__(self, scale: Scale, litellm: Path | None, guardrails: bool, folder: Path, console: Console) -> None:
        self._scale, self._litellm, self._guardrails = scale, litellm, guardrails
        self._folder, self._console = folder, console

    async def run(self) -> Report:
        """About a minute and a half, or eight."""
        async with AsyncExitStack() as stack:
            caller = await stack.enter_async_context(peers.caller())
            upstream = await stack.enter_async_context(peers.upstream(self._folder))
            ours = await stack.enter_async_context(
                peers.gateway(self._folder, [upstream.port], guardrails=self._guardrails)
            )
            there = {"direct": upstream, "ours": ours, **await self._others(stack, upstream)}
            whole = await self._compared(caller, there, stream=False)
            streams = await self._compared(caller, there, stream=True)
            self._tell("hits of the exact cache")
            found = await hits.measure(caller, ours, upstream, self._folder, self._scale.hits)
            self._tell("the budget")
            spending = await budget.measure(caller, ours)
        async with AsyncExitStack() as stack:
            caller = await stack.enter_async_context(peers.caller())
            upstream = await stack.enter_async_context(peers.upstream(self._folder))
            ours = await stack.enter_async_context(peers.gateway(self._folder, [upstream.port]))
            self._tell("memory")
            kept = await memory.measure(caller, ours, self._scale.memory_calls)
        self._tell("an upstream that is killed")
        return Report(whole, streams, found, kept, await killing.measure(self._folder), spending)

    async def _others(self, stack: AsyncExitStack, upstream: Peer) -> dict[str, Peer]:
        others: dict[str, Peer] = {}
        if self._guardrails:
            bare = peers.gateway(self._folder, [upstream.port], guardrails=False)
            others["ours, no guardrails"] = await stack.enter_async_context(bare)
        if self._litellm is None:
            self._console.print("LiteLLM is not here: install litellm[proxy] and name its executable with --litellm.")
            return others
        self._tell("LiteLLM starts")
        proxy = peers.litellm(self._litellm, self._folder, upstream.port)
        return others | {"LiteLLM": await stack.enter_async_context(proxy)}

    async def _compared(self, caller: Caller, there: dict[str, Peer], *, stream: bool) -> Compared:
        kind, rate = ("streams", STREAM_RATE) if stream else ("whole calls", RATE)
        rates = dict.fromkeys(there, rate)
        if "LiteLLM" in there:
            self._tell(f"{kind}: what LiteLLM sustains")
            tried = self._scale.stream_rates if stream else self._scale.rates
            rates["LiteLLM"] = await sustained(caller, there["LiteLLM"], tried, self._scale.seconds, stream=stream)
        turns = self._scale.stream_turns if stream else self._scale.turns
        self._tell(f"{kind}: {turns} turns of {len(there)} peers")
        return await compare(caller, there, rates, turns, self._scale.seconds, stream=stream)

    def _tell(self, what: str) -> None:
        self._console.print(f"  … {what}", style="dim", highlight=False)


def written(report: Report, data_dir: Path, arguments: Sequence[str]) -> Path:
    """The figures as JSON, with what made them."""
    made = {
        "command": " ".join(["python -m loadtests.llm.gateway", *arguments]),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"cores": os.cpu_count(), "load": os.getloadavg()[0], "python": platform.python_version()},
    }
    target = data_dir / TARGET
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(made | report.summary(), indent=2))
    return target


def main() -> None:
    """Runs the bench."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about a minute and a half instead of eight")
    parser.add_argument("--litellm", type=Path, help="its executable; else .venv-litellm/bin/litellm, then PATH")
    parser.add_argument("--no-litellm", action="store_true", help="leave it out")
    parser.add_argument("--no-guardrails", action="store_true", help="measure ours without them only")
    parser.add_argument("--data-dir", type=Path, default=Path(os.environ.get("CASCADE_DATA_DIR", ".data")))
    chosen = parser.parse_args()
    console, litellm = Console(), None if chosen.no_litellm else peers.found_litellm(chosen.litellm)
    scale = QUICK if chosen.quick else FULL
    with (
        tempfile.TemporaryDirectory(prefix="llm-gateway-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        try:
            report = runner.run(Bench(scale, litellm, not chosen.no_guardrails, Path(folder), console).run())
        except Unavailable as error:
            sys.exit(error.sentence)
    report.show(console)
    console.print(f"Written to {written(report, chosen.data_dir, sys.argv[1:])}")


if __name__ == "__main__":
    main()
