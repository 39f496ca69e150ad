"""The stages of a request. A stage tries within its deadline; when it cannot, it says what it does instead.

Clock, metrics and the record of what went wrong live in the kind, not in the stage.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from models.user import UserState
from services.gateway.activity import LastKnownUsers, RecentActivity
from services.gateway.clients import Peers
from services.gateway.fallback import Fallbacks
from services.gateway.identifiers import share_of
from services.gateway.journey import LAST_KNOWN, Degradation, Journey
from services.gateway.nouns import Candidates, Scores, Slate
from services.runtime.errors import CascadeError, DeadlineExceeded, NotFound, Unavailable
from services.runtime.ids import to_int
from services.runtime.logs import get_logger
from services.runtime.metrics import FALLBACKS, STAGE_SECONDS
from services.runtime.tracing import part

Given = TypeVar("Given")
Made = TypeVar("Made")

EXPERIMENT = "ranker"
CHAMPION, CHALLENGER = "champion", "challenger"

log = get_logger("stages")


class Stage(ABC, Generic[Given, Made]):
    """One step: `attempt` does it, `instead` replaces it. Calling the stage never fails because a peer did."""

    name: ClassVar[str]

    def __init__(self, cap_ms: float) -> None:
        self._cap_ms = cap_ms

    async def __call__(self, journey: Journey, given: Given) -> Made:
        started = time.perf_counter()
        with part(self.name) as span:
            try:
                return await self.attempt(journey, given, journey.budget.timeout(self._cap_ms))
            except CascadeError as error:
                made, fallback = self.instead(journey, given)
                self.degrade(journey, error, fallback)
                span.tell("cascade.fallback", fallback)
                span.fail(_word_for(error))
                return made
            finally:
                seconds = time.perf_counter() - started
                journey.timings[self.name] = seconds * 1000
                STAGE_SECONDS.labels(self.name).observe(seconds)

    def degrade(self, journey: Journey, error: CascadeError, fallback: str) -> None:
        """Puts on record that this stage was replaced."""
        journey.degraded.append(Degradation(self.name, error.sentence, fallback))
        FALLBACKS.labels(self.name, _word_for(error)).inc()
        log.debug("fell back", stage=self.name, reason=error.sentence, fallback=fallback)

    @abstractmethod
    async def attempt(self, journey: Journey, given: Given, timeout: float) -> Made:
        """The work itself, within `timeout` seconds; any CascadeError leads to `instead`."""

    @abstractmethod
    def instead(self, journey: Journey, given: Given) -> tuple[Made, str]:
        """What takes its place, and the words for it."""


class UserFeatures(Stage[int, UserState]):
    """What is known of the user, with what the user did in the last seconds."""

    name = "features"

    def __init__(self, cap_ms: float, peers: Peers, last_known: LastKnownUsers, recent: RecentActivity) -> None:
        super().__init__(cap_ms)
        self._peers, self._last_known, self._recent = peers, last_known, recent

    async def attempt(self, journey: Journey, given: int, timeout: float) -> UserState:
        if given == 0:
            return UserState(0)
        user = await self._peers.user(given, timeout)
        self._last_known.remember(user)
        return self._recent.applied(user)

    def instead(self, journey: Journey, given: int) -> tuple[UserState, str]:
        user = self._last_known.recall(given)
        if user is None:
            return self._recent.applied(UserState(given)), "cold-start profile"
        return self._recent.applied(user), LAST_KNOWN


class Retrieval(Stage[UserState, Candidates]):
    """Candidates from every source, or the popular ones of the gateway's own table."""

    name = "retrieval"

    def __init__(self, cap_ms: float, peers: Peers, fallbacks: Fallbacks, candidates: int) -> None:
        super().__init__(cap_ms)
        self._peers, self._fallbacks, self._candidates = peers, fallbacks, candidates

    async def attempt(self, journey: Journey, given: UserState, timeout: float) -> Candidates:
        ask = journey.ask
        found = await self._peers.candidates(
            given,
            self._candidates,
            exclude=[*ask.exclude, *self._fallbacks.catalog.pending_deletions()],
            categories=ask.categories,
            context_item=to_int(ask.context_item) if ask.context_item else 0,
            timeout=timeout,
        )
        for report in found.reports:
            if report.error:
                self.degrade(journey, Unavailable(f"{report.source}: {report.error}"), "the other sources")
        return found

    def instead(self, journey: Journey, given: UserState) -> tuple[Candidates, str]:
        return self._fallbacks.popular(journey.ask, given, self._candidates), "popular items"


class ListedScores(Stage[UserState, Candidates]):
    """The sources' scores for a list the caller brought, or the list alone."""

    name = "retrieval"

    def __init__(self, cap_ms: float, peers: Peers) -> None:
        super().__init__(cap_ms)
        self._peers = peers

    async def attempt(self, journey: Journey, given: UserState, timeout: float) -> Candidates:
        return await self._peers.listed(given, self._ids(journey), timeout)

    def instead(self, journey: Journey, given: UserState) -> tuple[Candidates, str]:
        return Candidates.of_ids(self._ids(journey)), "the list without source scores"

    def _ids(self, journey: Journey) -> NDArray[np.uint64]:
        return np.array([to_int(external) for external in journey.ask.listed or ()], np.uint64)


class Ranking(Stage[tuple[UserState, Candidates], Scores]):
    """Scores from the champion or, for its share of users, the challenger; else the order retrieval gave."""

    name = "ranking"

    def __init__(self, cap_ms: float, peers: Peers, challenger_share: float, shortlist: int) -> None:
        super().__init__(cap_ms)
        self._peers, self._share, self._shortlist = peers, challenger_share, shortlist

    async def attempt(self, journey: Journey, given: tuple[UserState, Candidates], timeout: float) -> Scores:
        user, found = given
        variant = self._variant(user.user_id)
        journey.experiments[EXPERIMENT] = variant
        if found.ids.size == 0:
            return Scores(np.empty(0, np.float32))
        rows = shortlisted(journey, self._shortlist)
        try:
            return await self._peers.scores(user, found, variant, rows, timeout)
        except NotFound:
            if variant == CHAMPION:
                raise
        # No challenger is loaded: the experiment records what the user really gets.
        journey.experiments[EXPERIMENT] = CHAMPION
        return await self._peers.scores(user, found, CHAMPION, rows, journey.budget.timeout(self._cap_ms))

    def instead(self, journey: Journey, given: tuple[UserState, Candidates]) -> tuple[Scores, str]:
        count = given[1].ids.size
        return Scores((1 - np.arange(count) / max(count, 1)).astype(np.float32)), "retrieval order"

    def _variant(self, user_id: int) -> str:
        return CHALLENGER if user_id and share_of(EXPERIMENT, user_id) < self._share else CHAMPION


class Reranking(Stage[tuple[Candidates, Scores], Slate]):
    """The slate, or the best n by score."""

    name = "reranking"

    def __init__(self, cap_ms: float, peers: Peers, shortlist: int) -> None:
        super().__init__(cap_ms)
        self._peers, self._shortlist = peers, shortlist

    async def attempt(self, journey: Journey, given: tuple[Candidates, Scores], timeout: float) -> Slate:
        found, scores = given
        ask = journey.ask
        if found.ids.size == 0:
            return Slate.in_order(np.empty(0, np.intp))
        rows = scores.best(shortlisted(journey, self._shortlist))
        slate = await self._peers.slate(found.ids[rows], scores.values[rows], ask.n, ask.surface, journey.seed, timeout)
        return replace(slate, rows=rows[slate.rows])

    def instead(self, journey: Journey, given: tuple[Candidates, Scores]) -> tuple[Slate, str]:
        return Slate.in_order(given[1].best(journey.ask.n)), "score order"


def shortlisted(journey: Journey, shortlist: int) -> int:
    """Candidates that go on to the slate: enough to choose from, whatever n is."""
    return max(shortlist, 2 * journey.ask.n)


def _word_for(error: CascadeError) -> str:
    if isinstance(error, DeadlineExceeded):
        return "deadline"
    return "unavailable" if isinstance(error, Unavailable) else "error"
