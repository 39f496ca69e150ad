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
from services.gateway.journey import LAST_KNOWN, Degradation, Journey
from services.gateway.nouns import Candidates, Scores, Slate
from services.runtime.errors import CascadeError, DeadlineExceeded, Unavailable
from services.runtime.ids import to_int
from services.runtime.logs import get_logger
from services.runtime.metrics import FALLBACKS, STAGE_SECONDS
from services.runtime.tracing import part

Given = TypeVar("Given")
Made = TypeVar("Made")

log = get_logger("stages")


class Stage(ABC, Generic[Given, Made]):
    """One step: `attempt` does it, `instead` replaces it. Calling the stage never fails because a peer did."""

    name: ClassVar[str]

    def __init__(self, cap_ms: float) -> None:
        self.cap_ms = cap_ms
        """Most that this step may take of the request's budget."""

    async def __call__(self, journey: Journey, given: Given) -> Made:
        started = time.perf_counter()
        with part(self.name) as span:
            try:
                return await self.attempt(journey, given, journey.budget.timeout(self.cap_ms))
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
            return UserState(0, at_ms=journey.at_ms)
        user = await self._peers.user(given, timeout)
        self._last_known.remember(user)
        return self._now(journey, user)

    def instead(self, journey: Journey, given: int) -> tuple[UserState, str]:
        user = self._last_known.recall(given)
        if user is None:
            return self._now(journey, UserState(given)), "cold-start profile"
        return self._now(journey, user), LAST_KNOWN

    def _now(self, journey: Journey, user: UserState) -> UserState:
        return replace(self._recent.applied(user), at_ms=journey.at_ms)


class FromRetrieval(Stage[UserState, Candidates]):
    """Candidates that come from retrieval's champions or, for its share of users, from its challengers."""

    name = "retrieval"

    async def attempt(self, journey: Journey, given: UserState, timeout: float) -> Candidates:
        found = await journey.arm.ask(
            self.name,
            lambda model, seconds: self.asked(journey, given, model, seconds),
            timeout,
            lambda: journey.budget.timeout(self.cap_ms),
        )
        for report in found.reports:
            if report.error:
                journey.arm.suffered(self.name)
                self.degrade(journey, Unavailable(f"{report.source}: {report.error}"), "the other sources")
        return found

    @abstractmethod
    async def asked(self, journey: Journey, user: UserState, model: str, timeout: float) -> Candidates:
        """The answer of `model`, champion or challenger, within `timeout` seconds."""


class Retrieval(FromRetrieval):
    """Candidates from every source, or the popular ones of the gateway's own table."""

    def __init__(self, cap_ms: float, peers: Peers, fallbacks: Fallbacks, candidates: int) -> None:
        super().__init__(cap_ms)
        self._peers, self._fallbacks, self._candidates = peers, fallbacks, candidates

    async def asked(self, journey: Journey, user: UserState, model: str, timeout: float) -> Candidates:
        ask = journey.ask
        return await self._peers.candidates(
            user,
            self._candidates,
            exclude=[*ask.exclude, *self._fallbacks.catalog.pending_deletions()],
            categories=ask.categories,
            context_item=to_int(ask.context_item) if ask.context_item else 0,
            model=model,
            timeout=timeout,
        )

    def instead(self, journey: Journey, given: UserState) -> tuple[Candidates, str]:
        return self._fallbacks.popular(journey.ask, given, self._candidates), "popular items"


class ListedScores(FromRetrieval):
    """The sources' scores for a list the caller brought, or the list alone."""

    def __init__(self, cap_ms: float, peers: Peers) -> None:
        super().__init__(cap_ms)
        self._peers = peers

    async def asked(self, journey: Journey, user: UserState, model: str, timeout: float) -> Candidates:
        return await self._peers.listed(user, self._ids(journey), model, timeout)

    def instead(self, journey: Journey, given: UserState) -> tuple[Candidates, str]:
        return Candidates.of_ids(self._ids(journey)), "the list without source scores"

    def _ids(self, journey: Journey) -> NDArray[np.uint64]:
        return np.array([to_int(external) for external in journey.ask.listed or ()], np.uint64)


class Ranking(Stage[tuple[UserState, Candidates], Scores]):
    """Scores from the champion or, for its share of users, the challenger; else the order retrieval gave."""

    name = "ranking"

    def __init__(self, cap_ms: float, peers: Peers, shortlist: int) -> None:
        super().__init__(cap_ms)
        self._peers, self._shortlist = peers, shortlist

    async def attempt(self, journey: Journey, given: tuple[UserState, Candidates], timeout: float) -> Scores:
        return await journey.arm.ask(
            self.name,
            lambda model, seconds: self.asked(journey, given, model, seconds),
            timeout,
            lambda: journey.budget.timeout(self.cap_ms),
        )

    async def asked(self, journey: Journey, given: tuple[UserState, Candidates], model: str, timeout: float) -> Scores:
        """The answer of `model`, champion or challenger, within `timeout` seconds. Unavailable for useless scores."""
        user, found = given
        if found.ids.size == 0:
            return Scores(np.empty(0, np.float32))
        scores = await self._peers.scores(user, found, model, shortlisted(journey, self._shortlist), timeout)
        if np.isnan(scores.values).all() or np.isinf(scores.values).any():
            raise Unavailable(f"The ranker's {model} gave no scores that candidates can be ordered by.")
        return scores

    def instead(self, journey: Journey, given: tuple[UserState, Candidates]) -> tuple[Scores, str]:
        count = given[1].ids.size
        return Scores((1 - np.arange(count) / max(count, 1)).astype(np.float32)), "retrieval order"


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
