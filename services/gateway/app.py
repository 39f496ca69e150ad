"""The ASGI app over a gateway: routes, middleware, problem documents, OpenAPI.

async with build(settings) as app:
    ...                                  # uvicorn, or httpx.ASGITransport(app)
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from services.gateway.gateway import Gateway, opened
from services.gateway.middleware import Guarded, Limited, Observed
from services.gateway.page import PageAccess
from services.gateway.problems import add_handlers
from services.gateway.routes import (
    events,
    explanations,
    health,
    items,
    lists,
    models,
    objectives,
    page,
    recommendations,
    requests,
    rollout,
    search,
    training,
    users,
)
from services.gateway.schemas import Event
from services.gateway.settings import GatewaySettings

TITLE = "Cascade"
VERSION = "1"
DESCRIPTION = "What should this user see next? A multi-stage recommender's only public door."
ROUTERS = (
    recommendations,
    search,
    lists,
    items,
    users,
    events,
    models,
    objectives,
    rollout,
    training,
    requests,
    explanations,
    health,
    page,
)


@asynccontextmanager
async def build(settings: GatewaySettings) -> AsyncIterator[FastAPI]:
    """The app, ready to answer."""
    async with opened(settings) as gateway:
        yield app_of(gateway)


def app_of(gateway: Gateway) -> FastAPI:
    """Routes over a gateway that is open."""
    settings = gateway.settings
    access = PageAccess(settings.page, settings.page_hosts)
    app = FastAPI(title=TITLE, version=VERSION, description=DESCRIPTION, docs_url=None, redoc_url=None)
    app.state.gateway, app.state.page = gateway, access
    for module in ROUTERS:
        app.include_router(module.router)
    # The last one added is the first to see a request.
    app.add_middleware(Guarded, keys=gateway.keys, page=access)
    app.add_middleware(Limited, body_bytes=settings.body_bytes, concurrent=settings.concurrent_requests)
    app.add_middleware(Observed)
    add_handlers(app)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way to extend it
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description, with the keys and the schema of an event, which is checked one by one."""
    if app.openapi_schema is None:
        document = get_openapi(title=TITLE, version=VERSION, description=DESCRIPTION, routes=app.routes)
        components = document.setdefault("components", {})
        components.setdefault("schemas", {})["Event"] = Event.model_json_schema()
        components["securitySchemes"] = {
            "X-API-Key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            "Bearer": {"type": "http", "scheme": "bearer"},
        }
        for path, operations in document["paths"].items():
            for operation in operations.values():
                operation["security"] = [{"X-API-Key": []}, {"Bearer": []}] if path.startswith("/v1") else []
        app.openapi_schema = document
    return app.openapi_schema
