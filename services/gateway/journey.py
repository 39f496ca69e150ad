"""One request on its way: its budget, what it cost so far, and what had to be replaced."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field

from services.gateway.arms import Arm
from services.gateway.identifiers import new_recommendation_id
from services.gateway.nouns import Ask
from services.runtime.client import Budget

LAST_KNOWN = "last known user state"
"""The fallback that makes an answer `cache` rather than `fallback`."""


@dataclass(frozen=True, slots=True)
class Degradation:
    """A stage that could not do its work, and what was done instead."""

    stage: str
    reason: str
    fallback: str


@dataclass(slots=True)
class Journey:
    """The state of one request. Stages add to it; nothing else changes on the way."""

    ask: Ask
    budget: Budget
    identifier: uuid.UUID = field(default_factory=new_recommendation_id)
    started: float = field(default_factory=time.perf_counter)
    received_us: int = field(default_factory=lambda: time.time_ns() // 1000)
    timings: dict[str, float] = field(default_factory=dict)
    """Milliseconds by stage."""
    degraded: list[Degradation] = field(default_factory=list)
    arm: Arm = field(default_factory=Arm)
    """Whose models answer."""

    @classmethod
    def start(cls, ask: Ask, arm: Arm | None = None) -> Journey:
        """The budget starts now. Without an arm it is the champion's, and nothing is compared."""
        earlier = dict(ask.spent)
        started = time.perf_counter() - sum(earlier.values()) / 1000
        return cls(ask, Budget.of(ask.deadline_ms), started=started, timings=earlier, arm=arm or Arm())

    @property
    def recommendation_id(self) -> str:
        """As the answer, the impression and the trace spell it."""
        return str(self.identifier)

    @property
    def experiments(self) -> dict[str, str]:
        """Variant by model that is tried."""
        return self.arm.experiments

    @property
    def at_ms(self) -> int:
        """The moment to answer for, milliseconds since 1970."""
        return self.ask.at_ms or self.received_us // 1000

    @property
    def seed(self) -> int:
        """64 bits for everything random in this request, the same whenever it is replayed."""
        return self.identifier.int & (1 << 64) - 1

    @property
    def served_by(self) -> str:
        """fresh, cache or fallback."""
        if not self.degraded:
            return "fresh"
        return "cache" if all(entry.fallback == LAST_KNOWN for entry in self.degraded) else "fallback"

    def total_ms(self) -> float:
        """Milliseconds since the start, with what was spent before the question could be asked."""
        return (time.perf_counter() - self.started) * 1000
