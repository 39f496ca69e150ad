"""The calls of the REST surface, one file per noun. A route reads the request, calls the gateway, writes the answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from fastapi import Path, Request
from starlette.responses import Response

from services.gateway.gateway import Gateway
from services.gateway.spelling import ExternalId

ItemId = Annotated[ExternalId, Path(description="An item's id.", examples=["318"])]
UserId = Annotated[ExternalId, Path(description="A user's id; nobody needs to have heard of it.", examples=["1"])]

PROBLEM: dict[str, Any] = {
    "description": "What is wrong, in a sentence that names the field.",
    "content": {
        "application/problem+json": {
            "example": {
                "type": "urn:cascade:problem:unprocessable-content",
                "title": "Unprocessable Content",
                "status": 422,
                "detail": "n: Input should be less than or equal to 100.",
                "errors": [{"field": "n", "message": "Input should be less than or equal to 100"}],
            }
        }
    },
}


def gateway_of(request: Request) -> Gateway:
    """The gateway behind the app."""
    gateway: Gateway = request.app.state.gateway
    return gateway


def answered(body: Mapping[str, Any], status: int = 200) -> Response:
    """JSON, written straight from plain values: a model per answer would cost more than the answer."""
    return Response(orjson.dumps(body), status, media_type="application/json")


def documented(example: Mapping[str, Any], *statuses: int, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's `responses`: an example of the answer, and the problems a caller should expect."""
    good = {"description": "The answer.", "content": {"application/json": {"example": example}}}
    return {status: good, **dict.fromkeys((401, 422, *statuses), PROBLEM)}
