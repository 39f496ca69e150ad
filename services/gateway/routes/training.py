"""Runs of the trainer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Request
from starlette.responses import Response, StreamingResponse

from services.gateway.routes import answered, documented, gateway_of
from services.gateway.schemas import TrainingAsked
from services.gateway.trainings import Trainings
from services.runtime.errors import CascadeError

router = APIRouter(tags=["models"])

BEAT_SECONDS = 15.0
"""A stream says at least this often that it is alive."""

RUN = {
    "run_id": "20260501-120000-9f2c1a",
    "kind": "continuous",
    "trigger": "schedule",
    "state": "running",
    "stage": "ranker",
    "done": 12,
    "planned": 60,
    "started_at": "2026-05-01T12:00:00.000+00:00",
    "ended_at": None,
    "reason": "",
    "dataset": "9f2c…",
    "examples": 12800,
    "versions": {},
}
EXAMPLE = {
    "current": RUN,
    "recent": [],
    "next_at": "2026-05-01T12:05:00.000+00:00",
    "new_examples": 640,
    "examples_wanted": 5000,
}

Asked = Annotated[TrainingAsked, Body(default_factory=TrainingAsked)]


@router.get("/v1/training", responses=documented(EXAMPLE, 503, 504))
async def training(request: Request) -> Response:
    """The run that goes on, the last 20, when the next one starts, and how much was shown that none has learned from.
    A run is published, refused (`reason` tells why the gate said no, or what is missing) or failed.
    """
    return answered(await gateway_of(request).trainings.status())


@router.post("/v1/training", status_code=202, responses=documented(RUN, 400, 403, 409, 503, 504, status=202))
async def start_training(request: Request, body: Asked) -> Response:
    """Starts a run: `continuous` learns from the champion on and the newest clicks, `full` from everything. 409 while
    another one goes on. A continuous run that was killed earlier is gone on with, under its own id.
    """
    return answered(await gateway_of(request).trainings.start(body.kind), 202)


@router.get("/v1/training/progress", response_class=StreamingResponse, responses=documented(EXAMPLE, 503, 504))
async def progress(request: Request) -> Response:
    """The same as server-sent events: `status` at once and after every change, `problem` while the trainer is away."""
    trainings = gateway_of(request).trainings
    await trainings.status()  # whoever asks while the trainer is away gets the sentence as every other caller does
    return StreamingResponse(_events(trainings), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def _events(trainings: Trainings) -> AsyncIterator[bytes]:
    async with aclosing(trainings.watch()) as told:
        following = asyncio.ensure_future(anext(told))
        try:
            while True:
                done, _ = await asyncio.wait([following], timeout=BEAT_SECONDS)
                if not done:
                    yield b": still here\n\n"
                    continue
                yield _event(following.result())
                following = asyncio.ensure_future(anext(told))
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def _event(told: dict[str, Any] | CascadeError) -> bytes:
    if isinstance(told, CascadeError):
        return b"event: problem\ndata: " + orjson.dumps({"detail": told.sentence}) + b"\n\n"
    return b"event: status\ndata: " + orjson.dumps(told) + b"\n\n"
