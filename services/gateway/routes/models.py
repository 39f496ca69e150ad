"""The models behind the answers."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway.gateway import Gateway
from services.gateway.nouns import ModelCard
from services.gateway.routes import answered, documented, gateway_of
from services.runtime.errors import CascadeError

router = APIRouter(tags=["models"])

EXAMPLE = {
    "models": [
        {
            "name": "ranker",
            "version": "12",
            "kind": "lambdamart",
            "aliases": ["champion"],
            "loaded": True,
            "metrics": {"ndcg_at_10": 0.18},
            "lineage": {"seed": "7", "data_snapshot": "9f2c…"},
        }
    ],
    "degraded": [],
}


@router.get("/v1/models", responses=documented(EXAMPLE))
async def models(request: Request) -> Response:
    """Versions of every model, with metrics and lineage; a service that is away is named in `degraded`."""
    gateway = gateway_of(request)
    told = await asyncio.gather(*(_told(gateway, peer) for peer in ("retrieval", "ranker")))
    cards = [asdict(card) for known, _ in told for card in known]
    return answered({"models": cards, "degraded": [away for _, away in told if away is not None]})


async def _told(gateway: Gateway, peer: str) -> tuple[list[ModelCard], dict[str, str] | None]:
    try:
        return await gateway.peers.models(peer, gateway.patience), None
    except CascadeError as error:
        return [], {"stage": peer, "reason": error.sentence, "fallback": "left out"}
