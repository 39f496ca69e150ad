"""Why each item was recommended, a sentence at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated

import orjson
from fastapi import APIRouter, Path, Request
from starlette.responses import StreamingResponse

from services.gateway.explanations.explainer import Explanation
from services.gateway.routes import documented, gateway_of
from services.gateway.spelling import ExternalId

router = APIRouter(tags=["traces"])

EXAMPLE = {
    "item_id": "318",
    "rank": 1,
    "sentence": "Because you watched Pulp Fiction: The Shawshank Redemption (1994), as its viewers rate it highly.",
    "by": "template",
}


@router.get(
    "/v1/requests/{recommendation_id}/explanations",
    response_class=StreamingResponse,
    responses=documented(EXAMPLE, 404),
)
async def explanations(
    request: Request,
    recommendation_id: Annotated[ExternalId, Path(examples=["01997a3c-5d1e-7c4b-9f0e-2b6a1f0c7d55"])],
) -> StreamingResponse:
    """Server-sent events: an `explanation` for each shown item in order, then `done`. `by` tells whether a language
    model phrased it (`model`) or a rule did (`template`), as when the model is away or said more than the facts.
    """
    told = gateway_of(request).explainer.of(recommendation_id)
    return StreamingResponse(_events(told), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _events(told: AsyncGenerator[Explanation, None]) -> AsyncIterator[bytes]:
    async with aclosing(told) as explanations:
        async for explanation in explanations:
            yield b"event: explanation\ndata: " + orjson.dumps(asdict(explanation)) + b"\n\n"
    yield b"event: done\ndata: {}\n\n"
