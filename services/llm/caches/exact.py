"""The exact cache: the same call of the same tenant is answered once, also when it comes many times at once.

key = exact_key(tenant, request)            # None: do not ask this cache
answer = await cache.answer(key, make)      # a whole answer
completion = cache.get(key)                 # a stream: pieces(completion), or record it and cache.keep(key, ...)
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cachetools import TTLCache

from services.llm.caches.answers import weight
from services.llm.calls import Completion

LARGEST_SHARE = 0.125
"""Of the cache that one answer may fill."""


def _always(_: Completion) -> bool:
    return True


Worth = Callable[[Completion], bool]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, and whether this call took none of the model's time."""

    completion: Completion
    hit: bool


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
        self._answers: TTLCache[bytes, Completion] = TTLCache(limit_bytes, seconds, timer=clock, getsizeof=weight)
        self._largest = int(limit_bytes * LARGEST_SHARE)
        self._wait_seconds = wait_seconds
        self._flights: dict[bytes, asyncio.Future[Completion | None]] = {}

    def __len__(self) -> int:
        return len(self._answers)

    @property
    def nbytes(self) -> int:
        """What the answers weigh."""
        return int(self._answers.currsize)

    def get(self, key: bytes) -> Completion | None:
        """The kept answer, or None."""
        return self._answers.get(key)

    def keep(self, key: bytes, completion: Completion) -> None:
        """Keeps it, unless it would fill too much of the cache."""
        if weight(completion) <= self._largest:
            self._answers[key] = completion

    async def answer(
        self, key: bytes, make: Callable[[], Awaitable[Completion]], keep: Callable[[Completion], bool] = _always
    ) -> Answer:
        """The kept answer, that of an equal call on its way, or what `make` gives; errors are those of `make`.

        `keep` tells whether what was made may be given again later; equal calls that wait for it get it anyway.
        """
        deadline = asyncio.get_running_loop().time() + self._wait_seconds
        while True:
            kept = self.get(key)
            if kept is not None:
                return Answer(kept, hit=True)
            flight = self._flights.get(key)
            if flight is None:
                return Answer(await self._lead(key, make, keep), hit=False)
            try:
                async with asyncio.timeout_at(deadline):
                    # Whoever stops waiting leaves the flight to the others.
                    shared = await asyncio.shield(flight)
            except TimeoutError:
                return Answer(await make(), hit=False)
            if shared is not None:
                return Answer(shared, hit=True)

    async def _lead(
        self, key: bytes, make: Callable[[], Awaitable[Completion]], keep: Callable[[Completion], bool]
    ) -> Completion:
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        completion: Completion | None = None
        try:
            completion = await make()
            if keep(completion):
                self.keep(key, completion)
            return completion
        finally:
            del self._flights[key]
            flight.set_result(completion)
