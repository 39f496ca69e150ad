"""Spans on their way to an OTLP collector: imported only where tracing is on."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from services.runtime.logs import get_logger

QUEUED_SPANS = 4096
"""Finished spans that wait for export at most; beyond it they are dropped."""
BATCH_MS = 1000
"""How long spans gather before they are sent."""
EXPORT_SECONDS = 2.0
"""How long the collector may take for a batch, further tries included."""
PAUSE_SECONDS = 5.0
"""How long a collector that did not take a batch is left alone: what comes meanwhile is dropped unread."""

log = get_logger("tracing")


def provider_to(endpoint: str, service: str) -> TracerProvider:
    """Records every span it is asked for and posts them to `endpoint` from a thread of its own."""
    # The library would say every few seconds that the collector is away; the exporter below says it once.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    resource = Resource.create({"service.name": service, "service.namespace": "cascade"})
    provider = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
    exporter = CollectorExporter(endpoint, EXPORT_SECONDS, PAUSE_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter, QUEUED_SPANS, schedule_delay_millis=BATCH_MS))
    return provider


class CollectorExporter(SpanExporter):
    """Posts batches. A collector that is away costs spans and nothing else; that is said once, like its return."""

    def __init__(self, endpoint: str, timeout_s: float, pause_s: float) -> None:
        self._endpoint = endpoint
        self._inner = OTLPSpanExporter(endpoint=endpoint, timeout=timeout_s)
        self._pause_s = pause_s
        self._away = False
        self._not_before = 0.0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Called by the batch thread."""
        if time.monotonic() < self._not_before:
            return SpanExportResult.FAILURE
        result = self._inner.export(spans)
        away = result is not SpanExportResult.SUCCESS
        self._not_before = time.monotonic() + self._pause_s if away else 0.0
        if away != self._away:
            self._away = away
            if away:
                log.warning("the collector does not take spans; they are dropped until it does", url=self._endpoint)
            else:
                log.info("the collector takes spans again", url=self._endpoint)
        return result

    def shutdown(self) -> None:
        """Gives up a retry that is under way."""
        self._inner.shutdown()  # type: ignore[no-untyped-call]  # the library leaves it untyped

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing is held back here."""
        return True
