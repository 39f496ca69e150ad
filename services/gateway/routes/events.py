"""What users did."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from services.gateway.problems import problem
from services.gateway.routes import answered, documented, gateway_of
from services.gateway.schemas import EventBatch

router = APIRouter(tags=["events"])

EXAMPLE = {
    "accepted": 1,
    "duplicates": 0,
    "rejected": [
        {"index": 1, "code": "missing", "field": "item_id", "message": "item_id: Field required."},
    ],
}


@router.post("/v1/events", status_code=202, responses=documented(EXAMPLE, 400, 403, 413, 503, status=202))
async def post_events(request: Request, body: EventBatch) -> Response:
    """Takes a batch. One bad event never rejects its neighbours; `event_id` makes a retry harmless. A 202 means that
    every accepted event is kept: by the event log or, while that is away, on the gateway's disk for it. A batch of
    nothing but bad events is a 422.
    """
    outcome = await gateway_of(request).intake.take(body.events)
    if len(outcome.rejected) == len(body.events):
        errors = [
            {"field": f"events.{entry['index']}.{entry['field']}", "message": entry["message"]}
            for entry in outcome.rejected
        ]
        detail = " ".join(f"events.{entry['index']}: {entry['message']}" for entry in outcome.rejected[:5])
        return problem(422, detail, errors, rejected=outcome.rejected)
    counts = {"accepted": outcome.accepted, "duplicates": outcome.duplicates, "rejected": outcome.rejected}
    return answered(counts, 202)
