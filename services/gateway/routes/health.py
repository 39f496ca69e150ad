"""Is it alive, is it ready, and how is it doing. Open to everyone who reaches the port."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from services.gateway.routes import answered, gateway_of

router = APIRouter(tags=["health"])


@router.get("/health/live")
async def live() -> Response:
    """The process answers."""
    return answered({"status": "alive"})


@router.get("/health/ready")
async def ready(request: Request) -> Response:
    """The gateway has a catalog and can answer; `peers` tells who would help, and answers are degraded without."""
    gateway = gateway_of(request)
    names = gateway.peers.names
    states = await asyncio.gather(*(gateway.peers.health(name, gateway.patience) for name in names))
    return answered(
        {"status": "ready", "items": len(gateway.catalog.table), "peers": dict(zip(names, states, strict=True))}
    )


@router.get("/metrics", response_class=Response)
async def metrics() -> Response:
    """For Prometheus."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
