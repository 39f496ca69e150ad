"""The backends of a router while it runs: who works on how many calls, who is left alone, who has read what."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from services.llm.backends.backend import Backend
from services.llm.routing.affinity import PrefixIndex
from services.llm.routing.breaker import Breaker, BreakerConfig, State
from services.runtime.errors import (
    CascadeError,
    InvalidArgument,
    NotFound,
    TooLarge,
    TooMany,
)

LONGEST_REST_SECONDS = 60.0
"""An upstream that asks for a longer rest is asked again nevertheless."""
ANSWERED: tuple[type[CascadeError], ...] = (InvalidArgument, NotFound, TooLarge)
"""Errors of the call, not of the backend."""


@dataclass(frozen=True, slots=True)
class BackendState:
    """What is known about a backend at this moment."""

    breaker: State
    in_flight: int
    calls: int
    """Since the start."""
    failures: int
    """Of these."""
    rests_seconds: float
    """Until it wants to be asked again, because it said so; 0: now."""


class Member:
    """A backend, the calls that are on their way to it, and its breaker."""

    def __init__(
        self,
        name: str,
        backend: Backend,
        max_in_flight: int,
        breaker: BreakerConfig,
        changed: Callable[[str, State], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.backend, self.max_in_flight = name, backend, max_in_flight
        self.breaker = Breaker(breaker, clock, self._changed)
        self.in_flight = self.calls = self.failures = 0
        self.rests_until = -math.inf
        self.prefixes: list[PrefixIndex] = []
        """One for each model it serves here."""
        self._clock, self._tell = clock, changed

    @property
    def full(self) -> bool:
        """It has all the calls it may have."""
        return self.in_flight >= self.max_in_flight

    def free(self) -> bool:
        """True when a call may go there now."""
        return not self.full and self.breaker.allows() and self.rests_seconds() == 0

    def enter(self) -> Lease:
        """A place for a call, where `free` has said that there is one."""
        return Lease(self, self.breaker.admit())

    def state(self) -> BackendState:
        """For health and metrics."""
        return BackendState(self.breaker.state, self.in_flight, self.calls, self.failures, self.rests_seconds())

    def rests_seconds(self) -> float:
        """Until it wants to be asked again; 0: now."""
        return max(0.0, self.rests_until - self._clock())

    def rest(self, seconds: float) -> None:
        """It wants to be left alone for so long."""
        self.rests_until = self._clock() + min(seconds, LONGEST_REST_SECONDS)

    def _changed(self, state: State) -> None:
        if state == "open":
            for index in self.prefixes:
                index.clear()
        self._tell(self.name, state)


class Lease:
    """One call's place at a backend. It ends once, however the call does, and tells the breaker how that was."""

    __slots__ = ("_answered", "_member", "_over", "_permit")

    def __init__(self, member: Member, permit: int) -> None:
        self._member, self._permit, self._answered, self._over = member, permit, False, False
        member.in_flight += 1
        member.calls += 1

    @property
    def backend(self) -> str:
        """Whose place it is."""
        return self._member.name

    def answered(self) -> None:
        """The backend does its work; a stream that breaks later is a failure nevertheless."""
        self._answered = True
        self._permit = self._member.breaker.succeeded(self._permit)

    def end(self, error: BaseException | None = None) -> None:
        """The call is over, and its place free."""
        if self._over:
            return
        self._over = True
        self._member.in_flight -= 1
        if error is None or isinstance(error, ANSWERED):
            if not self._answered:
                self.answered()
        elif isinstance(error, TooMany) or not isinstance(error, Exception):
            # No room, or the caller left: cancelled, or closed the stream.
            self._abandon(error)
        else:
            self._member.failures += 1
            self._member.breaker.failed(self._permit)

    def _abandon(self, error: BaseException) -> None:
        self._member.breaker.abandoned(self._permit)
        if isinstance(error, TooMany) and error.retry_after:
            self._member.rest(error.retry_after)


@dataclass(slots=True, eq=False)
class Seat:
    """A backend as one model sees it."""

    member: Member
    model: str
    """The backend's own name of the model."""
    weight: float
    prefixes: PrefixIndex

    @property
    def load(self) -> float:
        """Calls in flight, for a weight of one."""
        return self.member.in_flight / self.weight
