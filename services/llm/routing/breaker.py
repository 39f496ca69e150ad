"""A circuit breaker (Nygard, Release It!, chapter 5): who keeps failing is left alone, then tried with one call.

closed ──failures──► open ──the pause is over──► half open ──the probe succeeds──► closed
                       ▲                             │
                       └────── the probe fails ──────┘   (the pause doubles)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

State = Literal["closed", "open", "half_open"]
BUCKETS = 10
"""The rolling window moves in tenths."""


@dataclass(frozen=True, slots=True)
class BreakerConfig:
    """When a backend is left alone, and for how long."""

    failures: int = 5
    """So many in a row open it."""
    failure_share: float = 0.5
    """So does this share of the calls in the window."""
    window_seconds: float = 10.0
    least_calls: int = 20
    """In the window, before a share means anything."""
    pause_seconds: float = 1.0
    """Of the first opening; each probe that fails doubles it."""
    longest_pause_seconds: float = 30.0


def _unheard(state: State) -> None:
    """Nobody listens."""


class Breaker:
    """`allows` asks, `admit` acts and gives a permit, and each permit is settled once: succeeded, failed or abandoned.

    A permit of a state that is over is void: a call that began before the breaker opened says nothing about the probe.
    """

    def __init__(
        self,
        config: BreakerConfig | None = None,
        clock: Callable[[], float] = time.monotonic,
        changed: Callable[[State], None] = _unheard,
    ) -> None:
        self._config, self._clock, self._changed = config or BreakerConfig(), clock, changed
        self._window = _Window(self._config.window_seconds)
        self._state: State = "closed"
        self._epoch = 0
        self._in_a_row = 0
        self._pause = self._config.pause_seconds
        self._opens_again_at = -math.inf
        self._probing = False

    @property
    def state(self) -> State:
        """As of the last call; an open one whose pause is over half-opens with the call it admits."""
        return self._state

    def allows(self) -> bool:
        """True when a call may go through now."""
        if self._state == "closed":
            return True
        if self._state == "open":
            return self._clock() >= self._opens_again_at
        return not self._probing

    def admit(self) -> int:
        """The permit of a call that `allows` has let through."""
        if self._state == "open":
            self._enter("half_open")
        self._probing = self._state == "half_open"
        return self._epoch

    def succeeded(self, permit: int) -> int:
        """The backend did its work. The permit that is returned holds for what else the same call has to tell."""
        if permit == self._epoch:
            self._in_a_row = 0
            self._window.add(self._clock(), failed=False)
            if self._state == "half_open":
                self._pause = self._config.pause_seconds
                self._enter("closed")
                return self._epoch
        return permit

    def failed(self, permit: int) -> None:
        """It did not."""
        if permit != self._epoch:
            return
        self._in_a_row += 1
        self._window.add(self._clock(), failed=True)
        if self._state == "half_open" or self._in_a_row >= self._config.failures or self._too_often():
            self._open()

    def abandoned(self, permit: int) -> None:
        """Nobody knows: the caller left, or the backend had no room."""
        if permit == self._epoch:
            self._probing = False

    def _too_often(self) -> bool:
        calls, failures = self._window.counts()
        return calls >= self._config.least_calls and failures >= self._config.failure_share * calls

    def _open(self) -> None:
        self._opens_again_at = self._clock() + self._pause
        self._pause = min(2 * self._pause, self._config.longest_pause_seconds)
        self._enter("open")

    def _enter(self, state: State) -> None:
        self._state = state
        self._epoch += 1
        self._probing = False
        self._in_a_row = 0
        self._window.clear()
        self._changed(state)


class _Window:
    """Calls and failures of the last seconds, in buckets that are used again."""

    def __init__(self, seconds: float) -> None:
        self._width = seconds / BUCKETS
        self._newest = 0
        self.clear()

    def clear(self) -> None:
        """Nothing has happened."""
        self._calls, self._failures = [0] * BUCKETS, [0] * BUCKETS

    def add(self, now: float, *, failed: bool) -> None:
        """One call that has ended."""
        bucket = int(now / self._width)
        if bucket - self._newest >= BUCKETS:
            self.clear()
            self._newest = bucket
        while self._newest < bucket:
            self._newest += 1
            self._calls[self._newest % BUCKETS] = self._failures[self._newest % BUCKETS] = 0
        self._calls[bucket % BUCKETS] += 1
        self._failures[bucket % BUCKETS] += failed

    def counts(self) -> tuple[int, int]:
        """(calls, failures)"""
        return sum(self._calls), sum(self._failures)
