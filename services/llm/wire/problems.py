"""Errors in OpenAI's shape, so that its clients raise their own exceptions for them."""

from __future__ import annotations

import math
from typing import Any

from services.llm.admission.refusals import Limited
from services.runtime.errors import (
    CascadeError,
    DeadlineExceeded,
    InvalidArgument,
    NotFound,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
)

_KINDS: dict[type[CascadeError], tuple[str, str | None]] = {
    InvalidArgument: ("invalid_request_error", None),
    TooLarge: ("invalid_request_error", "context_length_exceeded"),
    Unauthenticated: ("authentication_error", "invalid_api_key"),
    NotFound: ("invalid_request_error", "model_not_found"),
    TooMany: ("rate_limit_error", "rate_limit_exceeded"),
    DeadlineExceeded: ("api_error", "timeout"),
    Unavailable: ("api_error", "unavailable"),
}
"""Branch of the tree -> `type` and `code`."""


def error_of(error: CascadeError) -> dict[str, Any]:
    """The body: {"error": {message, type, param, code}}."""
    kind, code = next((_KINDS[c] for c in type(error).__mro__ if c in _KINDS), ("api_error", None))
    if isinstance(error, Limited) and error.limit == "budget":
        kind = code = "insufficient_quota"
    return {"error": {"message": error.sentence, "type": kind, "param": error.field, "code": code}}


def headers_of(error: CascadeError) -> dict[str, str]:
    """Retry-After where trying again helps, and how to authenticate where that is missing."""
    if isinstance(error, TooMany | Unavailable):
        seconds = error.retry_after if isinstance(error, TooMany) else None
        return {"Retry-After": str(max(1, math.ceil(seconds or 1)))}
    return {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}
