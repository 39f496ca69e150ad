"""What happens around every rpc on the server side: request id, metrics, logs, and errors as statuses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from services.runtime.errors import CascadeError
from services.runtime.logs import REQUEST_ID, get_logger
from services.runtime.metrics import RPC_SECONDS
from services.runtime.tracing import SERVER, Attributes, continued

log = get_logger("rpc")


class AroundCalls(grpc.aio.ServerInterceptor):
    """Wraps each handler of one service. Health and reflection calls pass through unmeasured."""

    def __init__(self, service: str) -> None:
        self._service = service

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler = await continuation(handler_call_details)
        path = handler_call_details.method
        if handler is None or not path.startswith("/cascade."):
            return handler
        metadata = {str(key): str(value) for key, value in handler_call_details.invocation_metadata or ()}
        request_id = metadata.get("x-request-id", "")
        if handler.unary_unary is not None:
            return grpc.unary_unary_rpc_method_handler(
                self._around_unary(handler.unary_unary, path[1:], request_id, metadata.get("traceparent", "")),
                handler.request_deserializer,
                handler.response_serializer,
            )
        if handler.unary_stream is not None:
            return grpc.unary_stream_rpc_method_handler(
                self._around_stream(handler.unary_stream, request_id),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return handler

    def _around_unary(self, inner: Any, rpc: str, request_id: str, traceparent: str) -> Any:
        method = rpc.rsplit("/", 1)[-1]
        attributes: Attributes = {"rpc.system.name": "grpc", "rpc.method": rpc}

        async def handle(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            REQUEST_ID.set(request_id)
            started, code = time.perf_counter(), "OK"
            with continued(traceparent, rpc, SERVER, attributes) as span:
                try:
                    return await inner(request, context)
                except CascadeError as error:
                    code = error.code.name
                    await context.abort(error.code, error.sentence)
                except grpc.aio.AbortError:
                    code = "ABORTED"
                    raise
                except asyncio.CancelledError:
                    # The caller's deadline passed, or it went away.
                    code = "CANCELLED"
                    raise
                except Exception as error:
                    code = "INTERNAL"
                    log.exception("an rpc failed", method=method)
                    await context.abort(
                        grpc.StatusCode.INTERNAL, f"{self._service} failed in {method}: {type(error).__name__}."
                    )
                finally:
                    RPC_SECONDS.labels(self._service, method, code).observe(time.perf_counter() - started)
                    span.tell("rpc.response.status_code", code)
                    if code != "OK":
                        span.fail(code)

        return handle

    def _around_stream(self, inner: Any, request_id: str) -> Any:
        async def handle(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
            REQUEST_ID.set(request_id)
            try:
                async for answer in inner(request, context):
                    yield answer
            except CascadeError as error:
                await context.abort(error.code, error.sentence)

        return handle
