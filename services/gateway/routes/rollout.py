"""Which models are tried on whom."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway.routes import answered, documented, gateway_of

router = APIRouter(tags=["models"])

EXAMPLE = {
    "rollout_id": "4f0c2a7d9b1e",
    "stage": "canary",
    "share": 0.05,
    "shadow": False,
    "challengers": {"ranker": "13"},
    "champions": {"ranker": "12", "two_tower": "7", "co_visitation": "7", "popularity": "7"},
    "since": "2026-05-01T12:00:00.000+00:00",
    "reason": "",
    "guardrails": [
        {
            "name": "errors",
            "champion": 0.0,
            "challenger": 0.01,
            "limit": 0.02,
            "breached": False,
            "samples": 120,
        }
    ],
}


@router.get("/v1/rollout", responses=documented(EXAMPLE, 503, 504))
async def rollout(request: Request) -> Response:
    """The release on its way, or how the last one ended: its stage (shadow, canary, ramp, champion, rolled_back), the
    share of users who get it, and every guardrail as last read. Without a `rollout_id` there never was one.
    """
    return answered(await gateway_of(request).rollouts.current())
