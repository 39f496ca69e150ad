"""Traces: one request followed through every process, with OpenTelemetry behind one small face.

    configure_tracing("ranker", settings.otlp_url, settings.trace_share)   # at start-up; without a URL all is off
    with begun(headers.get("traceparent", ""), "GET"):                     # the gateway begins traces
    with continued(metadata.get("traceparent", ""), "cascade.Ranker/Rank", SERVER):       # the others go on with them
    with part("score", {"cascade.items": 500}) as span:                    # a part of what is being traced
    headers.append(("traceparent", traceparent()))                         # the hop to the next process

Only the gateway decides what is traced; where nothing is, each of these is one comparison, and OpenTelemetry is not
even imported. Context travels as W3C `traceparent`. Attributes bear no keys, ids or addresses of users.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

import structlog

from services.runtime.settings import http_url

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span as OtelSpan
    from opentelemetry.trace import Tracer

Attributes = Mapping[str, str | int | float | bool]

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = range(5)
"""Kinds of spans, numbered as OpenTelemetry's SpanKind numbers them."""
CLOSE_SECONDS = 2.0

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


class Span(Protocol):
    """What a `with` block of this module gives: a span that is recorded, or nothing at all."""

    def __enter__(self) -> Span: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def traceparent(self) -> str:
        """The W3C header for what this span causes; empty when nothing is recorded."""

    def name(self, name: str) -> None:
        """Renames it, once more is known."""

    def tell(self, name: str, value: str | int | float) -> None:
        """Adds an attribute."""

    def fail(self, kind: str) -> None:
        """Marks it as failed, with a word of low cardinality; the first word stays."""


class _Nothing:
    """Where nothing is traced."""

    __slots__ = ()
    traceparent = ""

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def name(self, name: str) -> None:
        return

    def tell(self, name: str, value: str | int | float) -> None:
        return

    def fail(self, kind: str) -> None:
        return


class _Recorded:
    """A span that is current while its block runs."""

    __slots__ = ("_bound", "_failed", "_span", "_token")

    def __init__(self, span: OtelSpan) -> None:
        self._span = span
        self._failed = False
        self._token: Token[_Recorded | None] | None = None
        self._bound: Mapping[str, Token[object]] = {}

    def __enter__(self) -> Span:
        if _CURRENT.get() is None:
            self._bound = structlog.contextvars.bind_contextvars(trace_id=self.traceparent[3:35])
        self._token = _CURRENT.set(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.fail(kind.__name__)
        if self._token is not None:
            _CURRENT.reset(self._token)
        structlog.contextvars.reset_contextvars(**self._bound)
        self._span.end()

    @property
    def traceparent(self) -> str:
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"

    def name(self, name: str) -> None:
        self._span.update_name(name)

    def tell(self, name: str, value: str | int | float) -> None:
        self._span.set_attribute(name, value)

    def fail(self, kind: str) -> None:
        from opentelemetry.trace import StatusCode

        if not self._failed:
            self._failed = True
            self._span.set_attribute("error.type", kind)
            self._span.set_status(StatusCode.ERROR)

    @property
    def context(self) -> Context:
        """As OpenTelemetry wants a parent."""
        from opentelemetry.trace import set_span_in_context

        return set_span_in_context(self._span)


NOTHING: Span = _Nothing()
_CURRENT: ContextVar[_Recorded | None] = ContextVar("span", default=None)


class _Tracing:
    """What is on while tracing is on."""

    tracer: Tracer | None = None
    provider: TracerProvider | None = None
    share = 0.0


def begun(traceparent: str, name: str, kind: int = SERVER, attributes: Attributes | None = None) -> Span:
    """The outermost span: recorded when an incoming `traceparent` says so, without one for the configured share."""
    if _Tracing.tracer is None:
        return NOTHING
    if _TRACEPARENT.fullmatch(traceparent):
        return continued(traceparent, name, kind, attributes)
    return _recorded(name, kind, attributes, None) if random.random() < _Tracing.share else NOTHING


def continued(traceparent: str, name: str, kind: int, attributes: Attributes | None = None) -> Span:
    """A span whose parent lives in another process; nothing when that one is not recorded."""
    if _Tracing.tracer is None or not traceparent or (parent := _remote(traceparent)) is None:
        return NOTHING
    return _recorded(name, kind, attributes, parent)


def part(name: str, attributes: Attributes | None = None, kind: int = INTERNAL) -> Span:
    """A span within the current one; nothing when there is none."""
    if _Tracing.tracer is None or (parent := _CURRENT.get()) is None:
        return NOTHING
    return _recorded(name, kind, attributes, parent.context)


def past(traceparent: str, name: str, kind: int, attributes: Attributes | None, started_ns: int, ended_ns: int) -> str:
    """Records what already happened, in nanoseconds since 1970, below a span of whatever process; its `traceparent`."""
    if _Tracing.tracer is None or (parent := _remote(traceparent)) is None:
        return ""
    span = _recorded(name, kind, attributes, parent, started_ns)
    span._span.end(ended_ns)
    return span.traceparent


def tracing() -> bool:
    """Whether something is being traced here and now."""
    return _Tracing.tracer is not None and _CURRENT.get() is not None


def traceparent() -> str:
    """The W3C header for the next hop; empty when nothing is being traced."""
    current = _CURRENT.get()
    return current.traceparent if current is not None else ""


def _recorded(
    name: str, kind: int, attributes: Attributes | None, parent: Context | None, started_ns: int | None = None
) -> _Recorded:
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanKind

    assert _Tracing.tracer is not None
    return _Recorded(
        _Tracing.tracer.start_span(name, parent or Context(), SpanKind(kind), attributes, start_time=started_ns)
    )


def _remote(traceparent: str) -> Context | None:
    """The parent a header names; None when it is malformed or not recorded."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if found is None or not int(found.group(3), 16) & 1:
        return None
    from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

    trace_id, span_id = int(found.group(1), 16), int(found.group(2), 16)
    return set_span_in_context(NonRecordingSpan(SpanContext(trace_id, span_id, True, TraceFlags(1))))


def configure_tracing(service: str, otlp_url: str, share: float) -> None:
    """Sends spans of this process to an OTLP collector over HTTP from now on; an empty URL leaves tracing off."""
    if not otlp_url:
        return
    from services.runtime.span_export import provider_to

    provider = provider_to(f"{http_url(otlp_url, 'otlp_url')}/v1/traces", service)
    _Tracing.tracer, _Tracing.provider, _Tracing.share = provider.get_tracer("cascade"), provider, share


def close_tracing() -> None:
    """Sends what waits, for CLOSE_SECONDS at most, and switches tracing off."""
    provider, _Tracing.provider, _Tracing.tracer = _Tracing.provider, None, None
    if provider is not None:
        closing = threading.Thread(target=provider.shutdown, daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)
