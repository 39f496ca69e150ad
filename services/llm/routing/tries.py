"""One model's backends, and the tries of a call at them."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import TypeVar

from services.llm.backends.backend import Backend
from services.llm.calls import Generation
from services.llm.routing.affinity import Keys, chunk_keys
from services.llm.routing.balance import choose
from services.llm.routing.observer import Observer
from services.llm.routing.origin import Origin
from services.llm.routing.policy import PASSING
from services.llm.routing.route import ModelRoute
from services.llm.routing.seats import Lease, Seat
from services.runtime.errors import CascadeError, DeadlineExceeded, TooMany, Unavailable

Value = TypeVar("Value")
Ask = Callable[[Backend, str, float], Awaitable[Value]]
"""(backend, its name of the model, seconds) -> what was asked for."""


class ModelSeats:
    """The seats of one model, and the order in which a call tries them."""

    def __init__(self, name: str, route: ModelRoute, seats: Sequence[Seat], observer: Observer, random: Random) -> None:
        self.name, self.route, self.seats = name, route, seats
        self._observer, self._random = observer, random

    async def first_success(
        self, ask: Ask[Value], prompt: Generation | None, until: float, origin: Origin
    ) -> tuple[Value, Lease]:
        """Tries until one succeeds, no try is left or `until` (time.monotonic) is reached; the lease is still open.

        An error that no backend can mend is raised at once; otherwise the last one is.
        """
        affine = prompt is not None and len(self.seats) > 1
        keys = chunk_keys(prompt.text, self.route.affinity) if affine and prompt is not None else ()
        tried: list[Seat] = []
        last: CascadeError | None = None
        while len(tried) < self.route.retries.attempts:
            seat = await self._next(keys, tried, until, last)
            seconds = min(until - time.monotonic(), self.route.retries.longest_attempt_seconds)
            if seconds <= 0:
                raise last or DeadlineExceeded(f"No time was left to ask {self.name}.")
            if tried:
                self._observer.retried(self.name, seat.member.name)
            tried.append(seat)
            origin.tries += 1
            try:
                value, lease = await self._attempt(seat, ask, seconds)
            except PASSING as error:
                last = error
            else:
                origin.model, origin.backend = self.name, seat.member.name
                return value, lease
        raise last or self._refusal()

    async def _attempt(self, seat: Seat, ask: Ask[Value], seconds: float) -> tuple[Value, Lease]:
        started, lease = time.monotonic(), seat.member.enter()
        failure: BaseException | None = None
        try:
            return await ask(seat.member.backend, seat.model, seconds), lease
        except BaseException as error:
            failure = error
            lease.end(error)
            raise
        finally:
            self._observer.attempted(self.name, seat.member.name, time.monotonic() - started, failure)

    async def _next(self, keys: Keys, tried: Sequence[Seat], until: float, last: CascadeError | None) -> Seat:
        free = [seat for seat in self.seats if seat.member.free()]
        fresh = [seat for seat in free if seat not in tried] if tried else free
        if not fresh:
            await self._pause(free, tried, until, last)
            fresh = [seat for seat in self.seats if seat.member.free()]
            if not fresh:
                raise last or self._refusal()
        seat, characters = choose(fresh, keys, self.route.affinity, self._random)
        if keys:
            seat.prefixes.note(keys)
        if characters:
            self._observer.matched(self.name, seat.member.name, characters)
        return seat

    async def _pause(
        self, free: Sequence[Seat], tried: Sequence[Seat], until: float, last: CascadeError | None
    ) -> None:
        """Waits before a second try at those that are free, or for the first of those that asked to be left alone."""
        now = time.monotonic()
        rest = 0.0 if free else self._shortest_rest()
        seconds = rest + self.route.retries.pause(max(1, len(tried)), self._random)
        if now + seconds >= until:
            raise last or self._refusal()
        await asyncio.sleep(seconds)

    def _shortest_rest(self) -> float:
        """Seconds until the first that asked to be left alone may be asked again; infinite when none did."""
        members = [seat.member for seat in self.seats if not seat.member.free() and seat.member.breaker.allows()]
        return min((rest for member in members if (rest := member.rests_seconds())), default=math.inf)

    def _refusal(self) -> CascadeError:
        rest = self._shortest_rest()
        if rest < math.inf:
            return TooMany(f"Every backend of {self.name} asks to be left alone for now.", retry_after=rest)
        if any(not seat.member.breaker.allows() for seat in self.seats):
            return Unavailable(f"No backend of {self.name} answers at the moment.")
        return TooMany(f"Every backend of {self.name} has all the calls it may have; try again in a second.")
