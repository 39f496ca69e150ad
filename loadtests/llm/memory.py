"""Whether the gateway's memory stays flat: resident set over many calls, after a warm-up that fills its cache."""

from __future__ import annotations

from dataclasses import dataclass

from loadtests.llm.configs import KEY
from loadtests.llm.latency import fresh
from loadtests.llm.peers import Caller, Peer
from loadtests.llm.rounds import Plan

WARM_CALLS = 2000
CLIENTS = 8
SAMPLES = 10


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident set in MiB."""

    calls: int
    """After the warm-up."""
    samples: list[float]
    """After the warm-up, and after each tenth of the calls."""
    rate: float
    """Calls a second, of clients that wait for their answers."""
    failed: int

    @property
    def growth(self) -> float:
        """From the end of the warm-up to the end."""
        return self.samples[-1] - self.samples[0]


async def measure(caller: Caller, ours: Peer, calls: int) -> Memory:
    """`calls` calls after the warm-up, no two alike, one in four of them streamed."""
    await caller.run(Plan(ours.url, KEY, WARM_CALLS, clients=CLIENTS, first=fresh()))
    samples, failed, seconds, each = [ours.rss_mib], 0, 0.0, calls // SAMPLES
    for _ in range(SAMPLES):
        for share, stream in ((each - each // 4, False), (each // 4, True)):
            seen = await caller.run(Plan(ours.url, KEY, share, clients=CLIENTS, first=fresh(), stream=stream))
            failed += seen.failed
            seconds += seen.seconds
        samples.append(ours.rss_mib)
    return Memory(calls, samples, calls / seconds, failed)
