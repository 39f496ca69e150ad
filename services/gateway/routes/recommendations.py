"""What should this user see next, and in which order."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.gateway.questions import RankRequest, RecommendationRequest, UserQuery
from services.gateway.routes import UserId, answered, documented, gateway_of

router = APIRouter(tags=["recommendations"])

CARD = {
    "item_id": "318",
    "title": "Shawshank Redemption, The (1994)",
    "year": 1994,
    "genres": ["Drama"],
    "rank": 1,
    "score": 0.83,
    "sources": ["two_tower", "co_visitation"],
    "propensity": 1.0,
    "slot": "ranked",
    "reasons": ["because you watched Pulp Fiction (1994)"],
}
EXAMPLE = {
    "recommendation_id": "01997a3c-5d1e-7c4b-9f0e-2b6a1f0c7d55",
    "surface": "home",
    "served_by": "fresh",
    "degraded": [],
    "model_versions": {"two_tower": "7", "ranker": "12"},
    "experiments": [{"key": "ranker", "variant": "champion"}],
    "items": [CARD],
    "timings_ms": {"features": 0.6, "retrieval": 2.1, "ranking": 4.8, "reranking": 0.3, "total": 8.4},
}


@router.post("/v1/recommendations", responses=documented(EXAMPLE, 400, 413))
async def recommend(request: Request, body: RecommendationRequest) -> Response:
    """What this user should see next."""
    gateway = gateway_of(request)
    ask = body.ask(gateway.settings.deadline_ms)
    answer = gateway.pipeline.recommend(ask) if ask.listed is None else gateway.pipeline.rank(ask)
    return answered(await answer)


@router.get("/v1/users/{user_id:path}/recommendations", responses=documented(EXAMPLE))
async def recommend_to(request: Request, user_id: UserId, query: Annotated[UserQuery, Query()]) -> Response:
    """The same, for curl and browsers."""
    gateway = gateway_of(request)
    ask = query.request(user_id).ask(gateway.settings.deadline_ms)
    return answered(await gateway.pipeline.recommend(ask))


@router.post("/v1/rank", responses=documented(EXAMPLE | {"unknown_items": ["unheard-of"]}, 400, 413))
async def rank(request: Request, body: RankRequest) -> Response:
    """A given list in the best order for a user. Items nobody knows keep their place, with a score of null; what the
    user has hidden and what was deleted is left out.
    """
    gateway = gateway_of(request)
    return answered(await gateway.pipeline.rank(body.ask(gateway.settings.deadline_ms)))
