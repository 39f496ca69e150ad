"""When a call is tried again: exponential backoff with full jitter (Brooker, AWS Architecture Blog, 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from services.runtime.errors import CascadeError, DeadlineExceeded, TooMany, Unavailable

PASSING: tuple[type[CascadeError], ...] = (Unavailable, DeadlineExceeded, TooMany)
"""Errors that another backend, or the same one later, may not have."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often, and how far apart: a backend not tried yet is asked at once, a second try comes after a pause."""

    attempts: int = 3
    """At one model, the first included."""
    first_pause_seconds: float = 0.05
    longest_pause_seconds: float = 1.0
    longest_attempt_seconds: float = 600.0
    """One try takes no longer than this, however much time there is."""

    def pause(self, failures: int, random: Random) -> float:
        """Seconds before the next try after so many failures, spread so that callers do not come back together."""
        ceiling = self.first_pause_seconds * 2.0 ** min(failures - 1, 32)
        return random.uniform(0.0, min(ceiling, self.longest_pause_seconds))
