"""Calls to peers: a channel per peer, a deadline from the request's budget, errors from one tree."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from services.runtime.errors import DeadlineExceeded, from_rpc
from services.runtime.logs import REQUEST_ID
from services.runtime.settings import host_and_port
from services.runtime.tracing import CLIENT, Attributes, part, tracing

Request = TypeVar("Request")
Answer = TypeVar("Answer")

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
"""Largest message either side accepts: a snapshot chunk, or 1000 rows of features many times over."""

CHANNEL_OPTIONS: Sequence[tuple[str, Any]] = (
    # Probing for the bandwidth-delay product costs a quarter of a loopback server's CPU and gains nothing there.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # A restarted peer must be found again at once, not after the default two minutes of backoff.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


def open_channel(url: str) -> grpc.aio.Channel:
    """A channel to grpc://host:port. Connecting happens with the first call."""
    host, port = host_and_port(url, "grpc", "peer URL")
    return grpc.aio.insecure_channel(f"{host}:{port}", options=CHANNEL_OPTIONS)


@dataclass(frozen=True, slots=True)
class Budget:
    """The time a request has left.

    budget = Budget.of(200)          # milliseconds, from now
    budget.timeout(cap_ms=30)        # seconds for the next call: the cap or what is left, whichever is less
    """

    ends_at: float

    @classmethod
    def of(cls, milliseconds: float) -> Budget:
        return cls(time.monotonic() + milliseconds / 1000)

    def remaining(self) -> float:
        """Seconds left; negative once it is over."""
        return self.ends_at - time.monotonic()

    def timeout(self, cap_ms: float) -> float:
        """Seconds a call may take. Raises DeadlineExceeded when nothing is left."""
        left = min(self.remaining(), cap_ms / 1000)
        if left <= 0:
            raise DeadlineExceeded("The request's deadline passed before this stage could start.")
        return left


async def call(
    method: grpc.aio.UnaryUnaryMultiCallable[Request, Answer], request: Request, *, timeout: float, peer: str
) -> Answer:
    """One rpc with a deadline in seconds; failures come out as errors of the tree, naming the peer."""
    request_id = REQUEST_ID.get()
    metadata = (("x-request-id", request_id),) if request_id else ()
    if tracing():
        return await _traced(method, request, timeout, peer, metadata)
    try:
        return await method(request, timeout=timeout, metadata=metadata)
    except grpc.RpcError as error:
        raise from_rpc(error, peer) from error


async def _traced(
    method: grpc.aio.UnaryUnaryMultiCallable[Request, Answer],
    request: Request,
    timeout: float,
    peer: str,
    metadata: tuple[tuple[str, str], ...],
) -> Answer:
    # A stub does not tell the name of its rpc; the contract names every request after it.
    rpc = f"cascade.{peer.capitalize()}/{type(request).__name__.removesuffix('Request')}"
    attributes: Attributes = {"rpc.system.name": "grpc", "rpc.method": rpc, "peer.service": peer}
    with part(rpc, attributes, CLIENT) as span:
        try:
            return await method(request, timeout=timeout, metadata=(*metadata, ("traceparent", span.traceparent)))
        except grpc.aio.AioRpcError as error:
            span.tell("rpc.response.status_code", error.code().name)
            span.fail(error.code().name)
            raise from_rpc(error, peer) from error
