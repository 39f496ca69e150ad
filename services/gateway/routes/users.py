"""Users and what is known of them."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway.routes import UserId, answered, documented, gateway_of
from services.gateway.schemas import UserBody
from services.runtime.errors import NotFound

router = APIRouter(tags=["users"])

USER = {"user_id": "1", "profile": {"gender": "F", "age": "25"}}
KNOWN = USER | {
    "history": [
        {"item_id": "318", "title": "Shawshank Redemption, The (1994)", "ts": "2024-05-01T12:00:00+00:00", "value": 5.0}
    ],
    "activity": {"event_count": 53.0},
    "seen": 53,
    "hidden": 0,
}


@router.put("/v1/users/{user_id:path}", responses=documented(USER, 400, 403, 413, 503))
async def put_user(request: Request, user_id: UserId, body: UserBody) -> Response:
    """Adds a user or replaces the profile."""
    return answered(await gateway_of(request).people.put(user_id, body.profile))


@router.get("/v1/users/{user_id:path}", responses=documented(KNOWN, 404, 503))
async def get_user(request: Request, user_id: UserId) -> Response:
    """What is known of a user, the newest events first."""
    user = await gateway_of(request).people.get(user_id)
    if user is None:
        raise NotFound("Nobody has heard of this user.", field="user_id")
    return answered(user)


@router.delete("/v1/users/{user_id:path}", status_code=204, response_class=Response)
async def delete_user(request: Request, user_id: UserId) -> Response:
    """Forgets a user."""
    await gateway_of(request).people.delete(user_id)
    return Response(status_code=204)
