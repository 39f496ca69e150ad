"""The ASGI app: one request from its id to its metrics. Plain ASGI: a framework would cost more than all the rest."""

from __future__ import annotations

import time

from starlette.types import Receive, Scope, Send

from services.llm.wire.exchange import CallerGone, Exchange
from services.llm.wire.problems import error_of, headers_of
from services.llm.wire.routes import Routes
from services.runtime.errors import CascadeError, TooMany
from services.runtime.logs import REQUEST_ID, get_logger
from services.runtime.metrics import HTTP_SECONDS, series
from services.runtime.request_ids import request_id_of

CALLER_GONE = 499
"""Counted where no status was sent: the caller hung up."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
log = get_logger("http")


class App:
    """OpenAI's REST over a pipeline."""

    def __init__(self, routes: Routes, body_bytes: int, concurrent: int) -> None:
        self._routes, self._body_bytes, self._free = routes, body_bytes, concurrent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send, self._body_bytes)
        request_id = request_id_of(exchange.header(b"x-request-id"), exchange.header(b"traceparent"))
        REQUEST_ID.set(request_id)
        exchange.tell(b"x-request-id", request_id.encode())
        route, handler = self._routes.of(scope["method"], scope["path"])
        started = time.perf_counter()
        try:
            # Health and metrics are answered all the same, and may take it below zero.
            if self._free <= 0 and route.startswith("/v1"):
                raise TooMany("Too many requests are being served; try again in a second.")
            self._free -= 1
            try:
                await handler(exchange)
            finally:
                self._free += 1
        except CallerGone:
            exchange.status = exchange.status or CALLER_GONE
        except CascadeError as error:
            await exchange.json(error.http_status, error_of(error), headers_of(error))
        except Exception:
            log.exception("a request failed", path=scope["path"])
            if exchange.status:
                raise
            failed = CascadeError(f"The gateway failed. Its log tells more under the request id {request_id}.")
            await exchange.json(500, error_of(failed))
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
            series(HTTP_SECONDS, route, method, str(exchange.status)).observe(time.perf_counter() - started)
