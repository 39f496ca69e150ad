"""What a gateway adds to a call, and what a call costs it: short rounds of each peer in turn, at a fixed rate.

Peers take turns so that what else the machine does meets all of them; each round is compared with the direct calls of
its own turn. Told is the median over the quieter half of the turns: those in which processes outside the bench took the
least CPU, whatever the figures were.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from rich import box
from rich.table import Table

from loadtests.llm.configs import KEY
from loadtests.llm.others import Others
from loadtests.llm.peers import Caller, Peer
from loadtests.llm.rounds import Plan, Seen, median, quantile

LAG_SECONDS = 0.5
"""A peer that answers the last call of a round later than this does not sustain the rate."""
RATES = (300.0, 200.0, 150.0, 100.0, 75.0, 50.0, 25.0)
"""LiteLLM is measured at the first of these that it sustains."""
TRIES = 2
"""At a rate, as the machine may be busy with something else at the first."""
WARM_CALLS = 300
NUMBERS = count(1)
"""Of prompts: no two calls of a run are equal unless they are to be."""
_SPAN = 1_000_000


def fresh() -> int:
    """The first of prompts that nobody has asked yet."""
    return next(NUMBERS) * _SPAN


@dataclass(frozen=True, slots=True)
class Round:
    """One peer's round of one turn."""

    rate: float
    p50: float
    """Milliseconds to the end of a whole call, or to the first byte of a stream; so is p99."""
    p99: float
    cpu_ms: float
    """CPU of the peer's process for a call, milliseconds."""
    failed: int
    others: float = 0.0
    """Share of the machine's CPU that processes outside the bench took meanwhile."""


@dataclass(slots=True)
class Compared:
    """The rounds of all peers: `rounds[peer][turn]`; peers that were not there have none."""

    stream: bool
    rounds: dict[str, list[Round]] = field(default_factory=dict)

    @property
    def quiet(self) -> list[int]:
        """The quieter half of the turns, rounded up."""
        turns = [*zip(*self.rounds.values(), strict=True)]
        loudness = [sum(one.others for one in turn) for turn in turns]
        return sorted(range(len(turns)), key=loudness.__getitem__)[: (len(turns) + 1) // 2]

    def added(self, peer: str, share: str) -> float:
        """Milliseconds above the direct call of the same turn at p50 or p99."""
        return self._median(lambda turn: getattr(self.rounds[peer][turn], share) - getattr(self._direct(turn), share))

    def told(self, peer: str, figure: str) -> float:
        """A figure of a peer's rounds."""
        return self._median(lambda turn: getattr(self.rounds[peer][turn], figure))

    def cpu_ratio(self, peer: str, other: str) -> float:
        """CPU of one for a call, as a share of the other's; NaN when one of them was not there."""
        if not self.rounds.get(peer) or not self.rounds.get(other):
            return math.nan
        return self.told(peer, "cpu_ms") / self.told(other, "cpu_ms")

    def summary(self) -> dict[str, Any]:
        """Figures for JSON."""
        return {
            peer: {
                "rate": rounds[0].rate,
                "turns": len(rounds),
                "p50_ms": self.told(peer, "p50"),
                "p99_ms": self.told(peer, "p99"),
                "added_p50_ms": self.added(peer, "p50"),
                "added_p99_ms": self.added(peer, "p99"),
                "cpu_ms": self.told(peer, "cpu_ms"),
                "others_cpu_share": self.told(peer, "others"),
                "failed": sum(one.failed for one in rounds),
            }
            for peer, rounds in self.rounds.items()
        }

    def table(self) -> Table:
        """For the terminal."""
        what = "Streams, to their first byte" if self.stream else "Whole calls"
        turns, others = len(self.rounds["direct"]), self.told("ours", "others")
        title = f"{what}: the quieter half of {turns} turns; others took {others:.0%} of the machine's CPU"
        table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
        table.add_column("peer", no_wrap=True)
        for heading in ("calls/s", "p50 ms", "p99 ms", "+p50", "+p99", "CPU ms", "failed"):
            table.add_column(heading, justify="right")
        for peer, row in self.summary().items():
            cells = [f"{row[name]:.2f}" for name in ("p50_ms", "p99_ms", "added_p50_ms", "added_p99_ms", "cpu_ms")]
            table.add_row(peer, f"{row['rate']:g}", *cells, str(row["failed"]))
        return table

    def _direct(self, turn: int) -> Round:
        return self.rounds["direct"][turn]

    def _median(self, figure: Callable[[int], float]) -> float:
        return median([figure(turn) for turn in self.quiet])


async def compare(
    caller: Caller, peers: Mapping[str, Peer], rates: Mapping[str, float], turns: int, seconds: float, *, stream: bool
) -> Compared:
    """`turns` rounds of `seconds` each for every peer, one after the other; one of them must be called direct."""
    compared = Compared(stream, {name: [] for name in peers})
    for name in peers:
        await warm(caller, peers[name], stream=stream)
    for turn in range(turns):
        # Nobody goes first always.
        names = [*peers][turn % len(peers) :] + [*peers][: turn % len(peers)]
        for name in names:
            compared.rounds[name].append(await _round(caller, peers[name], rates[name], seconds, stream))
    return compared


async def warm(caller: Caller, peer: Peer, *, stream: bool) -> None:
    """Calls that do not count: connections are made, and what is done once in a process is done."""
    await caller.run(Plan(peer.url, KEY, WARM_CALLS, clients=4, first=fresh(), stream=stream))


async def _round(caller: Caller, peer: Peer, rate: float, seconds: float, stream: bool) -> Round:
    calls, before, others = round(rate * seconds), peer.cpu_seconds, Others()
    seen = await caller.run(Plan(peer.url, KEY, calls, rate=rate, first=fresh(), stream=stream))
    cpu_ms = (peer.cpu_seconds - before) * 1000 / calls
    times = seen.first_milliseconds if stream else seen.milliseconds
    return Round(rate, quantile(times, 0.5), quantile(times, 0.99), cpu_ms, seen.failed + _broken(seen), others.share)


def _broken(seen: Seen) -> int:
    return sum(number for fate, number in seen.streams.items() if fate != "whole")


async def sustained(caller: Caller, peer: Peer, rates: Sequence[float], seconds: float, *, stream: bool) -> float:
    """The first of the rates at which answers come as fast as calls; the last one when there is none."""
    await warm(caller, peer, stream=stream)
    for rate in rates:
        calls = round(rate * seconds)
        for _ in range(TRIES):
            seen = await caller.run(Plan(peer.url, KEY, calls, rate=rate, first=fresh(), stream=stream))
            if not seen.failed and seen.seconds <= calls / rate + LAG_SECONDS:
                return rate
    return rates[-1]
