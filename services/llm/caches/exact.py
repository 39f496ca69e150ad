"""The exact cache: the same call of the same tenant is answered once, also when it comes many times at once.

key = exact_key(tenant, request)            # None: do not ask this cache
answered = await cache.answer(key, make)    # a whole answer
answered = cache.get(key)                   # a stream: pieces(answered.completion), or record it and cache.keep(...)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from cachetools import TTLCache

from services.llm.answered import Answered
from services.llm.caches.answers import weight

LARGEST_SHARE = 0.125
"""Of the cache that one answer may fill."""


Make = Callable[[], Awaitable[Answered]]
Worth = Callable[[Answered], bool]


def _always(_: Answered) -> bool:
    return True


class ExactCache:
    """At most `limit_bytes` of answers, each for at most `seconds`; the least recently used goes first.

    A call that comes while an equal one is on its way waits for that one, at most `wait_seconds`; when that one fails,
    one of those who wait takes over. It belongs to one event loop.
    """

    def __init__(
        self,
        limit_bytes: int,
        seconds: float,
        wait_seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._answers: TTLCache[bytes, Answered] = TTLCache(limit_bytes, seconds, timer=clock, getsizeof=_weight)
        self._largest = int(limit_bytes * LARGEST_SHARE)
        self._wait_seconds = wait_seconds
        self._flights: dict[bytes, asyncio.Future[Answered | None]] = {}

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def nbytes(self) -> int:
        """What the answers weigh."""
        return int(self._answers.currsize)

    def get(self, key: bytes) -> Answered | None:
        """The kept answer, or None."""
        return self._answers.get(key)

    def keep(self, key: bytes, answered: Answered) -> None:
        """Keeps it, unless it would fill too much of the cache."""
        if _weight(answered) <= self._largest:
            self._answers[key] = _from_here(answered)

    async def answer(self, key: bytes, make: Make, keep: Worth = _always) -> Answered:
        """The kept answer, that of an equal call on its way, or what `make` gives; errors are those of `make`.

        `keep` tells whether what was made may be given again later; equal calls that wait for it get it anyway.
        """
        deadline = asyncio.get_running_loop().time() + self._wait_seconds
        while True:
            kept = self.get(key)
            if kept is not None:
                return kept
            flight = self._flights.get(key)
            if flight is None:
                return await self._lead(key, make, keep)
            try:
                async with asyncio.timeout_at(deadline):
                    # Whoever stops waiting leaves the flight to the others.
                    shared = await asyncio.shield(flight)
            except TimeoutError:
                return await make()
            if shared is not None:
                return _from_here(shared)

    async def _lead(self, key: bytes, make: Make, keep: Worth) -> Answered:
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        answered: Answered | None = None
        try:
            answered = await make()
            if keep(answered):
                self.keep(key, answered)
            return answered
        finally:
            del self._flights[key]
            flight.set_result(answered)


def _weight(answered: Answered) -> int:
    return weight(answered.completion)


def _from_here(answered: Answered) -> Answered:
    """As whoever gets it from this cache sees it: no backend was asked."""
    return replace(answered, backend="", cache="exact")
