"""Why these items and why not those."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from services.gateway.routes import answered, documented, gateway_of
from services.gateway.routes.recommendations import EXAMPLE
from services.gateway.spelling import ExternalId
from services.runtime.errors import NotFound

router = APIRouter(tags=["traces"])

TRACE = EXAMPLE | {
    "received_at": "2024-05-01T12:00:00.123456+00:00",
    "request": {"n": 10, "deadline_ms": 200, "session_id": "", "context_item": "", "categories": []},
    "user": {"cold": False, "profile": {"gender": "F"}, "history": ["296"], "seen": 53, "hidden": 0},
    "sources": [{"source": "two_tower", "proposed": 300, "kept": 280, "milliseconds": 1.2, "error": ""}],
    "removed": [{"reason": "seen", "item_ids": ["296"]}],
    "rules": [{"rule": "genre_cap", "kept": 10, "removed": [], "milliseconds": 0.1}],
    "candidates": [
        {"item_id": "318", "score": 0.83, "sources": ["two_tower"], "source_scores": {"two_tower": 0.7}, "shown": True}
    ],
    "titles": {"296": "Pulp Fiction (1994)", "318": "Shawshank Redemption, The (1994)"},
}


@router.get("/v1/requests/{recommendation_id}/trace", responses=documented(TRACE, 404))
async def trace(
    request: Request,
    recommendation_id: Annotated[ExternalId, Path(examples=["01997a3c-5d1e-7c4b-9f0e-2b6a1f0c7d55"])],
) -> Response:
    """All that a recent request saw: sources, what was removed and why, scores, rules, arms, timings."""
    told = gateway_of(request).traces.told(recommendation_id)
    if told is None:
        raise NotFound("No trace of this recommendation is kept; only recent ones are.", field="recommendation_id")
    return answered(told)
