"""Whether fifty calls at once can spend more than their key's budget."""

from __future__ import annotations

from dataclasses import dataclass

import aiohttp

from loadtests.llm.configs import COMPLETION_USD, POOR_BUDGET_USD, POOR_KEY, PROMPT_USD
from loadtests.llm.latency import fresh
from loadtests.llm.peers import Caller, Peer
from loadtests.llm.rounds import Plan, Seen

CONCURRENT = 50
ROUNDS = 3
"""So many times fifty: more than the budget pays for."""
LONG_ANSWER = 200
"""Tokens that each call may write: what is reserved is far more than what is spent."""
SPARE_USD = 1e-9
"""A picodollar's rounding."""


@dataclass(frozen=True, slots=True)
class Spending:
    """Of one key with a small budget."""

    budget_usd: float
    told_usd: float
    """What the gateway says was spent."""
    counted_usd: float
    """By the usage of the answers that came."""
    answered: int
    refused: int
    """With 429: the worst case did not fit into what was left."""
    failed: int
    """Any other way."""

    @property
    def inside(self) -> bool:
        """Neither count is above the budget, both agree, and the budget did refuse calls."""
        agree = abs(self.told_usd - self.counted_usd) < SPARE_USD
        return agree and self.told_usd <= self.budget_usd + SPARE_USD and self.refused > 0 and not self.failed


async def measure(caller: Caller, ours: Peer) -> Spending:
    """Rounds of calls that all come at once."""
    rounds = [await caller.run(_plan(ours)) for _ in range(ROUNDS)]
    return Spending(
        POOR_BUDGET_USD,
        await _told(ours),
        sum(seen.prompt_tokens * PROMPT_USD + seen.completion_tokens * COMPLETION_USD for seen in rounds) / 1e6,
        sum(seen.statuses.get("200", 0) for seen in rounds),
        sum(seen.statuses.get("429", 0) for seen in rounds),
        sum(_otherwise(seen) for seen in rounds),
    )


def _plan(ours: Peer) -> Plan:
    return Plan(ours.url, POOR_KEY, CONCURRENT, clients=CONCURRENT, first=fresh(), max_tokens=LONG_ANSWER)


async def _told(ours: Peer) -> float:
    headers = {"Authorization": f"Bearer {POOR_KEY}"}
    async with aiohttp.ClientSession() as session, session.get(f"{ours.url}/v1/usage", headers=headers) as response:
        return float((await response.json())["budget"]["spent"])


def _otherwise(seen: Seen) -> int:
    return sum(number for status, number in seen.statuses.items() if status not in ("200", "429"))
