"""What went wrong in background work: told once for each reason, and tried again after a pause."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable

MOST = 100
"""Remembered at once; the oldest goes first."""


class Setbacks:
    """A loop asks `resting` before it tries something again, and tells `failed` or `worked` how it went.

    A version that cannot be loaded would otherwise be read anew, and told of, with every poll.
    """

    def __init__(self, pause_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._pause_s = pause_s
        self._clock = clock
        self._since: dict[Hashable, tuple[float, str]] = {}

    def resting(self, what: Hashable) -> bool:
        """True when this failed less than the pause ago."""
        return what in self._since and self._clock() - self._since[what][0] < self._pause_s

    def failed(self, what: Hashable, reason: str) -> bool:
        """Notes a failure; True when it has not been told for this reason before."""
        news = self._since.pop(what, (0.0, ""))[1] != reason
        while len(self._since) >= MOST:
            del self._since[next(iter(self._since))]
        self._since[what] = (self._clock(), reason)
        return news

    def worked(self, what: Hashable) -> None:
        """Forgets the failures of what works again."""
        self._since.pop(what, None)
