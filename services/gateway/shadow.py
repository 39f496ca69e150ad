"""Challengers asked beside the champions once the answer has left: measured like an arm, never shown, never logged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.user import UserState
from services.gateway.arms import CHALLENGER, CHAMPION, FAILED, MISSING, MODELS_OF, OK, RANKER, timed
from services.gateway.filters import Filters
from services.gateway.journey import Journey
from services.gateway.nouns import Candidates, Scores
from services.gateway.stages import FromRetrieval, Ranking
from services.runtime.errors import CascadeError, NotFound
from services.runtime.logs import get_logger
from services.runtime.metrics import ARM_ANSWERS, SHADOW_DROPPED, SHADOW_OVERLAP

SHADOW = "shadow"
BEST = 10
"""Places in which champion and challenger are compared."""
PAUSE_SECONDS = 0.02
"""Time for the answer to be written out before its shadow takes the event loop."""

NOTHING: NDArray[np.uint64] = np.empty(0, np.uint64)

log = get_logger("shadow")


@dataclass(frozen=True, slots=True)
class Served:
    """What a request was served from."""

    journey: Journey
    source: FromRetrieval
    filters: Filters
    ranking: Ranking
    user: UserState
    found: Candidates
    best: NDArray[np.uint64]
    """(K,) the champion's best, K <= BEST; the rules of the slate come later and are the same for both."""

    @classmethod
    def of(
        cls,
        journey: Journey,
        stages: tuple[FromRetrieval, Filters, Ranking],
        user: UserState,
        found: Candidates,
        scores: Scores,
    ) -> Served:
        """By these stages, with these results."""
        return cls(journey, *stages, user, found, found.ids[scores.best(BEST)] if scores.version else NOTHING)

    async def candidates(self, model: str) -> Candidates:
        """As `model` would have found them."""
        answer = await self.source.asked(self.journey, self.user, model, self.source.cap_ms / 1000)
        return self.filters(self.journey.ask, self.user, answer)

    async def scores(self, found: Candidates, model: str) -> Scores:
        """As `model` would have given them."""
        return await self.ranking.asked(self.journey, (self.user, found), model, self.ranking.cap_ms / 1000)


class Shadow:
    """A bounded number of shadows in flight; what comes beyond is dropped and counted."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    @asynccontextmanager
    async def open(cls, limit: int) -> AsyncIterator[Self]:
        """At most `limit` in flight; leaving the block ends those that are."""
        shadow = cls(limit)
        try:
            yield shadow
        finally:
            for task in shadow._tasks:
                task.cancel()
            await asyncio.gather(*shadow._tasks, return_exceptions=True)

    def offer(self, served: Served) -> None:
        """Takes a request that was answered; never waits. One that no ranker scored is nothing to compare with."""
        if not served.best.size:
            return
        if len(self._tasks) >= self._limit:
            SHADOW_DROPPED.inc()
            return
        # A context of its own: the request's trace has ended by then.
        task = asyncio.create_task(self._follow(served), context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _follow(self, served: Served) -> None:
        await asyncio.sleep(PAUSE_SECONDS)
        try:
            found, scores = await _challenged(served)
        except NotFound:
            ARM_ANSWERS.labels(SHADOW, MISSING).inc()
            return
        except CascadeError as error:
            ARM_ANSWERS.labels(SHADOW, FAILED).inc()
            log.debug("a shadow failed", reason=error.sentence)
            return
        ARM_ANSWERS.labels(SHADOW, OK).inc()
        try:
            scores = scores or await served.scores(found, CHAMPION)
        except CascadeError as error:
            log.debug("a shadow could not be compared", reason=error.sentence)
            return
        theirs = found.ids[scores.best(BEST)]
        SHADOW_OVERLAP.observe(np.isin(served.best, theirs).sum() / served.best.size)


async def _challenged(served: Served) -> tuple[Candidates, Scores | None]:
    """What the models of the release answer; no scores when the ranker is not among them."""
    models, found, scores = served.journey.arm.release.models, served.found, None
    if not models.isdisjoint(MODELS_OF["retrieval"]):
        with timed(SHADOW, "retrieval"):
            found = await served.candidates(CHALLENGER)
    if RANKER in models:
        with timed(SHADOW, "ranking"):
            scores = await served.scores(found, CHALLENGER)
    return found, scores
