"""One request: user features → candidates → filters → scores → slate → answer; afterwards the impression is logged."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.user import UserState
from services.gateway.answers import COLD, IMPERSONAL, REASONS, Answers
from services.gateway.arms import Arms
from services.gateway.catalog import Catalog
from services.gateway.filters import Filters
from services.gateway.impressions import ImpressionLog, Shown
from services.gateway.journey import Journey
from services.gateway.listings import Audience
from services.gateway.nouns import Arrange, Ask, Candidates, Scores, Slate
from services.gateway.shadow import Served, Shadow
from services.gateway.stages import FromRetrieval, ListedScores, Ranking, Reranking, Retrieval, Stage, UserFeatures
from services.gateway.traces import Trace, Traces


class Pipeline:
    """The order of things. Every step is a stage that cannot fail, or pure arithmetic."""

    def __init__(
        self,
        *,
        features: UserFeatures,
        retrieval: Retrieval,
        listed: ListedScores,
        ranking: Ranking,
        reranking: Reranking,
        filters: Filters,
        catalog: Catalog,
        traces: Traces,
        impressions: ImpressionLog,
        arms: Arms,
        shadow: Shadow,
    ) -> None:
        self._features, self._retrieval, self._listed = features, retrieval, listed
        self._ranking, self._reranking, self._filters = ranking, reranking, filters
        self._catalog, self._answers = catalog, Answers(catalog)
        self._traces, self._impressions = traces, impressions
        self._arms, self._shadow = arms, shadow

    async def recommend(self, ask: Ask) -> dict[str, Any]:
        """What this user should see next."""
        journey = Journey.start(ask, self._arms.of(ask.user_id))
        user = await self._features(journey, ask.user_id)
        found = await self._retrieval(journey, user)
        kept = self._filters(ask, user, found)
        scores = await self._ranking(journey, (user, kept))
        slate = await self._reranking(journey, (kept, scores))
        return self._answered(journey, self._retrieval, user, kept, scores, slate)

    async def rank(self, ask: Ask, arrange: Arrange | None = None) -> dict[str, Any]:
        """A list the caller brought, best first unless `arrange` knows better; items nobody knows keep their place."""
        journey = Journey.start(ask, self._arms.of(ask.user_id))
        user = await self._features(journey, ask.user_id)
        found = await self._listed(journey, user)
        kept = self._filters(ask, user, found)
        scores = await self._ranking(journey, (user, kept))
        order = ranked_around(self._catalog.known(kept.ids), scores.values)
        if arrange is not None:
            order = order[arrange(kept.ids[order])]
        return self._answered(journey, self._listed, user, kept, scores, Slate.in_order(order[: ask.n]))

    async def listing(self, ask: Ask, stage: Stage[Audience, Candidates], segment: dict[str, str]) -> dict[str, Any]:
        """A list that is the same for everyone but for what this user must not see."""
        journey = Journey.start(ask)
        user = await self._features(journey, ask.user_id)
        found = await stage(journey, Audience(user, segment or dict(user.profile)))
        kept = self._filters(ask, user, found)
        slate = Slate.in_order(np.arange(min(ask.n, kept.ids.size)))
        answer = self._answers.of(journey, kept, None, slate, IMPERSONAL)
        del answer["recommendation_id"], answer["experiments"]
        return answer

    def _answered(
        self,
        journey: Journey,
        source: FromRetrieval,
        user: UserState,
        found: Candidates,
        scores: Scores,
        slate: Slate,
    ) -> dict[str, Any]:
        answer = self._answers.of(journey, found, scores, slate, COLD if user.is_cold else REASONS)
        self._traces.keep(Trace(journey, user, found, scores, slate, answer))
        if not journey.ask.at_ms:  # nobody was shown the answer for another moment
            self._impressions.offer(Shown.of(journey, found, scores, slate, answer["model_versions"]))
        journey.arm.settle()
        if journey.arm.release.shadow:
            self._shadow.offer(Served.of(journey, (source, self._filters, self._ranking), user, found, scores))
        return answer


def ranked_around(known: NDArray[np.bool_], scores: NDArray[np.float32]) -> NDArray[np.intp]:
    """(N,) rows in the order to show: known items by score, unscored ones after them; unknown items stay put."""
    rows = np.arange(known.size)
    places = np.flatnonzero(known)
    rows[places] = places[np.argsort(-scores[places], kind="stable")]
    return rows
