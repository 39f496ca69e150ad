"""Lists that are not made for one user; `user_id` only leaves out what that user has seen or hidden."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from services.gateway.questions import ListQuery, PopularQuery
from services.gateway.routes import ItemId, answered, documented, gateway_of
from services.gateway.routes.recommendations import CARD, EXAMPLE
from services.runtime.errors import NotFound
from services.runtime.ids import to_int

router = APIRouter(tags=["lists"])

LIST = {
    **{key: value for key, value in EXAMPLE.items() if key not in ("recommendation_id", "experiments")},
    "items": [CARD | {"score": None}],
    "timings_ms": {"retrieval": 1.1, "total": 1.6},
}


@router.get("/v1/items/{item_id:path}/similar", responses=documented(LIST, 404))
async def similar(request: Request, item_id: ItemId, query: Annotated[ListQuery, Query()]) -> Response:
    """Items like this one."""
    gateway = gateway_of(request)
    if gateway.catalog.item(to_int(item_id)) is None:
        raise NotFound("The catalog has no such item.", field="item_id")
    ask = query.ask(gateway.settings.deadline_ms, "similar", item_id)
    return answered(await gateway.pipeline.listing(ask, gateway.similar, {}))


@router.get("/v1/popular", responses=documented(LIST))
async def popular(request: Request, query: Annotated[PopularQuery, Query()]) -> Response:
    """What is popular now, with everybody or with a segment."""
    gateway = gateway_of(request)
    ask = query.ask(gateway.settings.deadline_ms, "popular")
    return answered(await gateway.pipeline.listing(ask, gateway.popular, query.profile()))


@router.get("/v1/latest", responses=documented(LIST))
async def latest(request: Request, query: Annotated[ListQuery, Query()]) -> Response:
    """The newest items first."""
    gateway = gateway_of(request)
    ask = query.ask(gateway.settings.deadline_ms, "latest")
    return answered(await gateway.pipeline.listing(ask, gateway.latest, {}))
