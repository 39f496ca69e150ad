"""What a Qdrant server did wrong, over gRPC or REST, as one error with the server's own words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from services.runtime.errors import Unavailable

MOST_CHARACTERS = 200
"""Of a server's words in a sentence: a proxy may answer with a page."""
_SILENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


@contextmanager
def answering(what: str) -> Iterator[None]:
    """Failures of the client library within the block as Unavailable; `what` begins the sentence."""
    try:
        yield
    except (ApiException, QdrantException, grpc.RpcError, OSError) as error:
        raise Unavailable(f"{what} {_said(error)}") from error


def _said(error: Exception) -> str:
    if isinstance(error, UnexpectedResponse):
        status = f"{error.status_code} {error.reason_phrase}".strip()
        return f"refuses: {_short(': '.join(filter(None, (status, _sentence(error.content)))))}"
    if isinstance(error, grpc.Call) and error.code() not in _SILENT:
        return f"refuses: {_short(f'{error.code().name}: {error.details()}')}"
    if isinstance(error, grpc.Call):
        return f"does not answer: {_short(f'{error.code().name}: {error.details()}')}"
    if isinstance(error, ResourceExhaustedResponse):
        return f"refuses for now: {_short(str(error))}"
    cause = error.source if isinstance(error, ResponseHandlingException) else error
    return f"does not answer: {_short(f'{type(cause).__name__}: {cause}')}"


def _sentence(content: bytes) -> str:
    """Qdrant's `status.error`, or the body as it is when it comes from something else."""
    text = content.decode(errors="replace")
    try:
        return str(json.loads(text)["status"]["error"])
    except (ValueError, KeyError, TypeError):
        return text


def _short(text: str) -> str:
    """On one line, and bounded."""
    line = " ".join(text.split())
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 1] + "…"
