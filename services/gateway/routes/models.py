"""The models behind the answers."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Body, Path, Request
from starlette.responses import Response

from services.gateway.gateway import Gateway
from services.gateway.nouns import ModelCard
from services.gateway.routes import answered, documented, gateway_of
from services.gateway.schemas import Promotion
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
            "lineage": {"seed": "7", "data_snapshot": "9f2c…", "gate": "passed", "rollout": "promoted"},
        }
    ],
    "degraded": [],
}

CHANGED = {"champions": {"ranker": "13"}}
PromotionSent = Annotated[Promotion, Body(default_factory=Promotion)]
ModelName = Annotated[
    str,
    Path(description="ranker, two_tower, co_visitation or popularity.", max_length=64, examples=["ranker"]),
]


@router.get("/v1/models", responses=documented(EXAMPLE))
async def models(request: Request) -> Response:
    """Versions of every model, with metrics and lineage; a service that is away is named in `degraded`."""
    gateway = gateway_of(request)
    told = await asyncio.gather(*(_told(gateway, peer) for peer in ("retrieval", "ranker")))
    cards = [asdict(card) for known, _ in told for card in known]
    return answered({"models": cards, "degraded": [away for _, away in told if away is not None]})


@router.post("/v1/models/{name}:promote", responses=documented(CHANGED, 400, 403, 404, 409, 503, 504))
async def promote(request: Request, name: ModelName, body: PromotionSent) -> Response:
    """Makes a version the champion without waiting for its rollout: the challenger when the body names none. A release
    on its way moves whole, and retrieval models move together; `champions` are those that changed.
    """
    return answered({"champions": await gateway_of(request).rollouts.promote(name, body.version)})


@router.post("/v1/models/{name}:rollback", responses=documented(CHANGED, 403, 404, 409, 503, 504))
async def rollback(request: Request, name: ModelName) -> Response:
    """Ends the rollout that the model is in; with none, brings the champion before this one back, together with
    everything it was promoted with. Once more returns. `champions` serve from now on.
    """
    return answered({"champions": await gateway_of(request).rollouts.rollback(name)})


async def _told(gateway: Gateway, peer: str) -> tuple[list[ModelCard], dict[str, str] | None]:
    try:
        return await gateway.peers.models(peer, gateway.patience), None
    except CascadeError as error:
        return [], {"stage": peer, "reason": error.sentence, "fallback": "left out"}
