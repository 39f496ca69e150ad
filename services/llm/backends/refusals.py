"""What the status of an upstream that speaks OpenAI's API means in our tree of errors."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import orjson

from services.runtime.errors import (
    CascadeError,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    TooLarge,
    TooMany,
    Unavailable,
)

MAX_SENTENCE = 300
"""Characters of an upstream's own words that are passed on."""


def refusal(peer: str, status: int, headers: Mapping[str, str], body: bytes) -> CascadeError:
    """The error that an answer other than 200 stands for, with the upstream's own sentence where it has one."""
    try:
        problem = orjson.loads(body)
    except ValueError:
        problem = None
    return error_of(peer, status, problem, headers.get("Retry-After"))


def error_of(peer: str, status: int, problem: object, retry_after: str | None = None) -> CascadeError:
    """The error of a status and a body of OpenAI's shape, or of vLLM's older one without `error` around it."""
    details = problem.get("error", problem) if isinstance(problem, dict) else None
    if not isinstance(details, dict):
        details = {"message": details} if isinstance(details, str) else {}
    said = str(details.get("message") or f"It answered {status}.")[:MAX_SENTENCE]
    if status == 429:
        return TooMany(f"{peer} takes no more for now: {said}", retry_after=seconds_of(retry_after))
    if status in (401, 403):
        # The upstream's key is ours, not the caller's: another backend may well answer.
        return Unavailable(f"{peer} refuses this gateway's key ({status}).")
    if status in (408, 504):
        return DeadlineExceeded(f"{peer} ran out of time: {said}")
    if status == 404:
        return NotFound(f"{peer}: {said}", field="model")
    if status == 413:
        return TooLarge(f"{peer}: {said}")
    if 400 <= status < 500:
        field = details.get("param")
        return InvalidArgument(f"{peer}: {said}", field=field if isinstance(field, str) else None)
    return Unavailable(f"{peer} failed with {status}: {said}")


def seconds_of(retry_after: str | None) -> float | None:
    """A Retry-After header in seconds from now, whichever of its two forms it has; None for anything else."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except ValueError:
            return None
    # NaN is not above zero either.
    return seconds if seconds > 0 else 0.0
