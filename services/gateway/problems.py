"""Errors as RFC 9457 problem documents: a status, a sentence a person can act on, and the fields it is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.runtime.errors import CascadeError, InvalidArgument, TooMany, Unavailable

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = {"Retry-After": "1"}
LONGEST_MESSAGE = 300
"""Characters of a message; longer ones quote somebody's input back and are cut."""

LONGEST_FIELD = 100
"""Characters of a field's name; longer ones are the caller's own and are cut."""
MOST_ERRORS = 20
"""Errors that one document names."""
LONGEST_DETAIL = 1000
"""Characters of a detail."""

_SENTENCES = {
    404: "There is nothing at this address; /docs lists every call.",
    405: "This address does not answer this method; /docs lists every call.",
}


def problem(
    status: int,
    detail: str,
    errors: Sequence[Mapping[str, Any]] = (),
    headers: Mapping[str, str] | None = None,
    **extra: Any,
) -> Response:
    """The document. `errors` are {field, message}; `extra` are further members (RFC 9457, 3.2)."""
    title = HTTPStatus(status).phrase
    document = {
        "type": f"urn:cascade:problem:{title.lower().replace(' ', '-')}",
        "title": title,
        "status": status,
        "detail": _cut(detail, LONGEST_DETAIL),
        "errors": list(errors[:MOST_ERRORS]),
        **extra,
    }
    return Response(orjson.dumps(document), status, dict(headers or {}), MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Lets every error of the app come out as a problem document."""
    app.add_exception_handler(CascadeError, _of_the_tree)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)


def field_errors(problems: Sequence[Any]) -> list[dict[str, str]]:
    """{field, message} of the first MOST_ERRORS errors of pydantic; the place (body, query) is left out."""
    return [{"field": _field(entry["loc"]), "message": _message(entry)} for entry in problems[:MOST_ERRORS]]


async def _of_the_tree(_: Request, error: Exception) -> Response:
    assert isinstance(error, CascadeError)
    errors = [{"field": error.field, "message": error.sentence}] if error.field else []
    headers = RETRY_AFTER if isinstance(error, TooMany | Unavailable) else None
    return problem(error.http_status, error.sentence, errors, headers)


async def _of_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    problems = error.errors()
    errors = field_errors(problems)
    detail = " ".join(f"{entry['field']}: {entry['message']}." for entry in errors)
    unreadable = any(entry["type"] == "json_invalid" for entry in problems)
    return problem(400 if unreadable else 422, detail, errors)


async def _of_http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:
        # The framework could not read the body at all: not UTF-8, or nested beyond reason.
        return await _of_the_tree(_, InvalidArgument("The body is not JSON in UTF-8.", field="body"))
    detail = _SENTENCES.get(error.status_code, error.detail)
    return problem(error.status_code, detail, headers=error.headers)


def _field(location: Sequence[str | int]) -> str:
    parts = [str(part) for part in location if not (isinstance(part, str) and part.startswith("function-"))]
    if len(parts) > 1 and parts[0] in ("body", "query", "path", "header"):
        parts = parts[1:]
    if not parts:
        return ""
    return "body" if parts[0].isdigit() else ".".join(_cut(part, LONGEST_FIELD) for part in parts)


def _message(entry: Any) -> str:
    message = str(entry["msg"]).removeprefix("Value error, ").rstrip(".")
    if entry["type"] == "json_invalid":
        message = f"not JSON: {entry['ctx']['error']}"
    if entry["type"] == "extra_forbidden":
        message = "there is no such field"
    if entry["type"] in ("model_attributes_type", "dict_type") and isinstance(entry.get("input"), bytes):
        message = "must be a JSON object, sent with Content-Type: application/json"
    return _cut(message, LONGEST_MESSAGE)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[:longest] + "…"
