"""A place that spans are sent to, and that tells which service was seen to call which.

    python -m tests.e2e.spans --port 4318        # or as a file by itself; it needs opentelemetry-proto and nothing else

POST /v1/traces takes OTLP over HTTP with protobuf. GET /edges answers [["gateway", "features"], …]: the services of
parent and child where they differ, and the `peer.service` of a span that has no child elsewhere to speak for it.
GET /spans answers {"count": N, "names": […], "attributes": […]}: all names of spans, and of their attributes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

MOST_SPANS = 50_000
MOST_BYTES = 64 * 1024 * 1024


class Seen(NamedTuple):
    """What is kept of a span."""

    service: str
    name: str
    parent: bytes
    peer: str
    attributes: frozenset[str]
    trace: str


class Spans:
    """The newest spans, and the edges between services that any of them ever made."""

    def __init__(self, most: int = MOST_SPANS) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[bytes, Seen] = {}
        self._order: deque[bytes] = deque()
        self._most = most

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Keeps what one export brought; the oldest go."""
        with self._lock:
            for resource in request.resource_spans:
                service = _text(resource.resource.attributes, "service.name")
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        names = frozenset(attribute.key for attribute in span.attributes)
                        peer = _text(span.attributes, "peer.service")
                        self._by_id[span.span_id] = Seen(
                            service, span.name, span.parent_span_id, peer, names, span.trace_id.hex()
                        )
                        self._order.append(span.span_id)
            while len(self._order) > self._most:
                self._by_id.pop(self._order.popleft(), None)

    def edges(self) -> set[tuple[str, str]]:
        """(service of the parent, service or peer of the child)."""
        with self._lock:
            seen = list(self._by_id.values())
            parents = dict(self._by_id)
        found = {(span.service, span.peer) for span in seen if span.peer}
        for span in seen:
            parent = parents.get(span.parent)
            if parent is not None and parent.service != span.service:
                found.add((parent.service, span.service))
        return found

    def all(self) -> list[Seen]:
        """Every span that is kept."""
        with self._lock:
            return list(self._by_id.values())


def _text(attributes: object, key: str) -> str:
    found: KeyValue
    for found in attributes:  # type: ignore[attr-defined]  # a protobuf list
        if found.key == key:
            return str(found.value.string_value)
    return ""


class _Handler(BaseHTTPRequestHandler):
    spans: Spans

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        if self.path != "/v1/traces" or not 0 <= length <= MOST_BYTES:
            self._answer(404, b"", "text/plain")
            return
        body = self.rfile.read(length)
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.spans.take(ExportTraceServiceRequest.FromString(body))
        self._answer(200, ExportTraceServiceResponse().SerializeToString(), "application/x-protobuf")

    def do_GET(self) -> None:
        if self.path == "/edges":
            answer: object = sorted(self.spans.edges())
        elif self.path == "/spans":
            seen = self.spans.all()
            names = sorted({f"{span.service}: {span.name}" for span in seen})
            attributes = sorted({name for span in seen for name in span.attributes})
            answer = {"count": len(seen), "names": names, "attributes": attributes}
        else:
            self._answer(404, b"", "text/plain")
            return
        self._answer(200, json.dumps(answer).encode(), "application/json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: it is asked often."""


def server_of(spans: Spans, host: str, port: int) -> ThreadingHTTPServer:
    """Listens; `serve_forever` answers."""
    handler = type("Handler", (_Handler,), {"spans": spans})
    server = ThreadingHTTPServer((host, port), handler)
    server.daemon_threads = True
    return server


@contextmanager
def receiving(port: int = 0) -> Iterator[tuple[Spans, str]]:
    """(spans, URL) of a receiver on loopback that answers while the block runs."""
    spans = Spans()
    server = server_of(spans, "127.0.0.1", port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield spans, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Receives spans and tells the edges between services.")
    parser.add_argument("--host", default="0.0.0.0")
    parser.add_argument("--port", type=int, default=4318)
    options = parser.parse_args()
    server_of(Spans(), options.host, options.port).serve_forever()
