"""The catalog, item by item."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway.catalog import Item
from services.gateway.routes import ItemId, answered, documented, gateway_of
from services.gateway.schemas import ItemBody
from services.runtime.errors import NotFound
from services.runtime.ids import to_int

router = APIRouter(tags=["catalog"])

ITEM = {
    "item_id": "318",
    "title": "Shawshank Redemption, The (1994)",
    "year": 1994,
    "genres": ["Drama"],
    "creators": [],
    "created_at": "2024-05-01T12:00:00+00:00",
}


@router.put("/v1/items/{item_id}", responses=documented(ITEM, 400, 403, 413, 503))
async def put_item(request: Request, item_id: ItemId, body: ItemBody) -> Response:
    """Adds or replaces an item; it can be recommended within seconds."""
    gateway = gateway_of(request)
    old = gateway.catalog.item(to_int(item_id))
    item = Item(
        item_id=item_id,
        title=body.title,
        year=body.year,
        genres=tuple(body.genres),
        creators=tuple(body.creators),
        created_at=body.created_at or (old.created_at if old else None),
    )
    await gateway.publisher.put_item(item)
    return answered(_told(item))


@router.get("/v1/items/{item_id}", responses=documented(ITEM | {"statistics": {"event_count": 2227.0}}, 404))
async def get_item(request: Request, item_id: ItemId) -> Response:
    """An item, with what its events say."""
    gateway = gateway_of(request)
    item = gateway.catalog.item(to_int(item_id))
    if item is None:
        raise NotFound("The catalog has no such item.", field="item_id")
    return answered(_told(item) | {"statistics": gateway.catalog.statistics(to_int(item_id))})


@router.delete("/v1/items/{item_id}", status_code=204, response_class=Response)
async def delete_item(request: Request, item_id: ItemId) -> Response:
    """Takes an item out; from this answer on it is not shown on any path. Deleting what is not there is no error."""
    await gateway_of(request).publisher.delete_item(to_int(item_id))
    return Response(status_code=204)


def _told(item: Item) -> dict[str, Any]:
    return {
        "item_id": item.item_id,
        "title": item.title,
        "year": item.year,
        "genres": list(item.genres),
        "creators": list(item.creators),
        "created_at": None if item.created_at is None else item.created_at.isoformat(timespec="seconds"),
    }
