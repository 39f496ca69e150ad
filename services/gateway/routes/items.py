"""The catalog, item by item or many at once."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway.bulk import BulkItems, item_of
from services.gateway.catalog import Item
from services.gateway.problems import problem
from services.gateway.routes import ItemId, answered, documented, gateway_of
from services.gateway.schemas import DeletionLine, ItemBody, ItemLine
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


BULK = {
    "accepted": 2,
    "rejected": [{"line": 2, "item_id": "7", "code": "missing", "field": "title", "message": "title: Field required."}],
}
LINES = (
    '{"item_id": "metropolis-2", "title": "Metropolis", "year": 1927, "genres": ["Drama", "Sci-Fi"]}\n'
    '{"item_id": "7", "genres": ["Drama"]}\n'
    '{"item_id": "318", "delete": true}\n'
)
LINE_SCHEMA = {"anyOf": [model.model_json_schema() for model in (ItemLine, DeletionLine)]}
BULK_BODY = {
    "required": True,
    "description": "One JSON object a line: an item as in PUT with its item_id, or {item_id, delete: true}.",
    "content": {"application/x-ndjson": {"schema": {"type": "string"}, "itemSchema": LINE_SCHEMA, "example": LINES}},
}


@router.post(
    "/v1/items:bulk",
    responses=documented(BULK, 403, 413, 503),
    openapi_extra={"requestBody": BULK_BODY},
)
async def post_items(request: Request) -> Response:
    """Puts and deletes many items, a line each; at most 10,000. One bad line never spoils its neighbours, and a 200
    means that the event log keeps every accepted one. Nothing but bad lines is a 422. Sending a body again is harmless,
    so after a 503, which may come when some lines are kept already, send it all again.
    """
    gateway = gateway_of(request)
    outcome = await BulkItems(gateway.catalog, gateway.publisher).take(await request.body())
    if not outcome.accepted:
        errors = [
            {"field": f"{entry['line']}.{entry['field']}", "message": entry["message"]} for entry in outcome.rejected
        ]
        detail = " ".join(f"Line {entry['line']}: {entry['message']}" for entry in outcome.rejected[:5])
        return problem(422, detail or "The body has no line with an item.", errors, rejected=outcome.rejected)
    return answered({"accepted": outcome.accepted, "rejected": outcome.rejected})


@router.put("/v1/items/{item_id:path}", responses=documented(ITEM, 400, 403, 413, 503))
async def put_item(request: Request, item_id: ItemId, body: ItemBody) -> Response:
    """Adds or replaces an item; it can be recommended within seconds."""
    gateway = gateway_of(request)
    item = item_of(item_id, body, gateway.catalog)
    await gateway.publisher.put_item(item)
    return answered(_told(item))


@router.get("/v1/items/{item_id:path}", responses=documented(ITEM | {"statistics": {"event_count": 2227.0}}, 404))
async def get_item(request: Request, item_id: ItemId) -> Response:
    """An item, with what its events say."""
    gateway = gateway_of(request)
    item = gateway.catalog.item(to_int(item_id))
    if item is None:
        raise NotFound("The catalog has no such item.", field="item_id")
    return answered(_told(item) | {"statistics": gateway.catalog.statistics(to_int(item_id))})


@router.delete("/v1/items/{item_id:path}", status_code=204, response_class=Response)
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
