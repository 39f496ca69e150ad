"""What happens around every request: an id, the clock, limits, the key. Plain ASGI, outermost first as listed here."""

from __future__ import annotations

import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway.keys import ApiKeys
from services.gateway.page import PageAccess
from services.gateway.problems import RETRY_AFTER, problem
from services.runtime.logs import REQUEST_ID, get_logger
from services.runtime.metrics import HTTP_SECONDS
from services.runtime.request_ids import request_id_of
from services.runtime.tracing import NOTHING, begun

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Others count as one, as a caller may invent them."""

log = get_logger("http")


class Observed:
    """Gives the request its id, measures it, and turns what nobody foresaw into a 500 without a trace."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        traceparent = headers.get("traceparent", "")
        request_id = request_id_of(headers.get("x-request-id", ""), traceparent)
        REQUEST_ID.set(request_id)
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        started, status = time.perf_counter(), 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        # Only what does something is worth a trace: not the health checks, not a page's files.
        with begun(traceparent, method) if scope["path"].startswith("/v1") else NOTHING as span:
            try:
                await self._app(scope, receive, sending)
            except Exception:
                log.exception("a request failed", path=scope["path"])
                if status:
                    raise
                detail = f"The gateway failed. Its log tells more under the request id {request_id}."
                await problem(500, detail)(scope, receive, sending)
            finally:
                route = getattr(scope.get("route"), "path_format", "unknown")
                HTTP_SECONDS.labels(route, method, str(status)).observe(time.perf_counter() - started)
                span.name(f"{method} {route}")
                span.tell("http.request.method", method)
                span.tell("http.route", route)
                span.tell("http.response.status_code", status)
                if status >= 500 or not status:
                    span.fail(str(status))


class Limited:
    """Refuses bodies over the limit, and requests beyond those that may be served at once."""

    def __init__(self, app: ASGIApp, body_bytes: int, concurrent: int) -> None:
        self._app, self._body_bytes, self._free = app, body_bytes, concurrent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/health/"):
            await self._app(scope, receive, send)
            return
        if self._free == 0:
            busy = problem(429, "Too many requests are being served; try again in a second.", headers=RETRY_AFTER)
            await busy(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "0")
        if not length.isdigit() or int(length) > self._body_bytes:
            await self._too_large()(scope, receive, send)
            return
        self._free -= 1
        try:
            await self._app(scope, self._counted(receive), send)
        finally:
            self._free += 1

    def _counted(self, receive: Receive) -> Receive:
        received = 0

        async def receiving() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._body_bytes:
                raise HTTPException(413, self._sentence)
            return message

        return receiving

    def _too_large(self) -> ASGIApp:
        return problem(413, self._sentence, [{"field": "body", "message": self._sentence}])

    @property
    def _sentence(self) -> str:
        return f"A body may have {self._body_bytes} bytes at most."


class Guarded:
    """Asks for an API key under /v1: either key reads, the write key writes. The page's cookie reads and posts events.

    Innermost, behind Limited: whoever guesses keys or cookies counts against the limits first.
    """

    READS_BY_POST = frozenset({"/v1/recommendations", "/v1/rank", "/v1/search", "/v1/objectives:preview"})
    """Calls that change nothing and are POST only because their question is long."""

    WRITES_OF_PAGE = frozenset({("POST", "/v1/events")})

    def __init__(self, app: ASGIApp, keys: ApiKeys, page: PageAccess) -> None:
        self._app, self._keys, self._page = app, keys, page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        key = _key_of(headers)
        page = not key and self._page.holds(headers)
        writes = scope["method"] not in ("GET", "HEAD") and scope["path"] not in self.READS_BY_POST
        if page and writes and (scope["method"], scope["path"]) not in self.WRITES_OF_PAGE:
            await _refused(403, "The page may read and post events; this call needs the write key.")(
                scope, receive, send
            )
        elif not page and not self._keys.may_read(key):
            await _refused(401, "This call needs an API key in X-API-Key or as a Bearer token.")(scope, receive, send)
        elif writes and not page and not self._keys.may_write(key):
            await _refused(403, "This call changes something: it needs the write key.")(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _key_of(headers: Headers) -> str:
    kind, _, token = headers.get("authorization", "").partition(" ")
    return headers.get("x-api-key") or (token.strip() if kind.lower() == "bearer" else "")


def _refused(status: int, sentence: str) -> ASGIApp:
    errors = [{"field": "X-API-Key", "message": sentence}]
    return problem(status, sentence, errors, {"WWW-Authenticate": "Bearer"} if status == 401 else None)
