"""The error tree, and what each branch becomes on the wire.

CascadeError
├── InvalidArgument     INVALID_ARGUMENT     400   a field is wrong; the sentence names it
├── TooLarge            OUT_OF_RANGE         413   more than a stated limit
├── Unauthenticated     UNAUTHENTICATED      401   no key, or a wrong one
├── NotFound            NOT_FOUND            404   no such item, user, model or trace
├── Conflict            FAILED_PRECONDITION  409   the present state forbids it
├── TooMany             RESOURCE_EXHAUSTED   429   try again later
├── DeadlineExceeded    DEADLINE_EXCEEDED    504   the budget ran out
├── Unavailable         UNAVAILABLE          503   a store or a peer does not answer
└── SettingsError       (start-up only)            a setting is wrong; the process exits with the sentence
"""

from __future__ import annotations

import grpc


class CascadeError(Exception):
    """A sentence a person can act on. `field` names the request field or setting it is about."""

    code: grpc.StatusCode = grpc.StatusCode.INTERNAL
    http_status: int = 500

    def __init__(self, sentence: str, *, field: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.field = field


class InvalidArgument(CascadeError):
    """A field of the request is wrong."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    http_status = 400


class TooLarge(CascadeError):
    """The request exceeds a stated limit."""

    code = grpc.StatusCode.OUT_OF_RANGE
    http_status = 413


class Unauthenticated(CascadeError):
    """No key, or a wrong one."""

    code = grpc.StatusCode.UNAUTHENTICATED
    http_status = 401


class NotFound(CascadeError):
    """There is no such thing."""

    code = grpc.StatusCode.NOT_FOUND
    http_status = 404


class Conflict(CascadeError):
    """The present state does not allow it."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    http_status = 409


class TooMany(CascadeError):
    """A bounded resource is full. `retry_after`: seconds until trying again helps; None when nobody knows."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    http_status = 429

    def __init__(self, sentence: str, *, field: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(sentence, field=field)
        self.retry_after = retry_after


class DeadlineExceeded(CascadeError):
    """The time a caller allowed has passed."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    http_status = 504


class Unavailable(CascadeError):
    """A store or a peer does not answer."""

    code = grpc.StatusCode.UNAVAILABLE
    http_status = 503


class SettingsError(CascadeError):
    """A setting, or something a setting points at, is wrong at start-up."""


_BY_CODE: dict[grpc.StatusCode, type[CascadeError]] = {
    kind.code: kind
    for kind in (
        InvalidArgument, TooLarge, Unauthenticated, NotFound, Conflict, TooMany, DeadlineExceeded, Unavailable
    )
}  # fmt: skip


def from_rpc(error: grpc.RpcError, peer: str) -> CascadeError:
    """The error of the tree that a peer's gRPC status stands for, naming the peer."""
    code = error.code() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else grpc.StatusCode.UNKNOWN
    details = (error.details() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else str(error)) or ""
    kind = _BY_CODE.get(code, CascadeError)
    if code is grpc.StatusCode.UNAVAILABLE:
        return Unavailable(f"{peer} does not answer ({details}).")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"{peer} did not answer in time.")
    return kind(details or f"{peer} failed with {code.name}.")
