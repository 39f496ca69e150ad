"""Traces at the seams: who decides, what crosses a hop, what being off costs, what happens without a collector."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from ephemeral_port_reserve import reserve
from opentelemetry.sdk.trace.export import SpanExportResult

from services.runtime import span_export, tracing
from services.runtime.errors import SettingsError
from services.runtime.eventlog import DEAD_LETTERS, EventLogProducer, Record, open_consumer
from services.runtime.logs import configure_logs, get_logger
from services.runtime.span_export import CollectorExporter
from services.runtime.tracing import (
    CONSUMER,
    NOTHING,
    SERVER,
    begun,
    close_tracing,
    configure_tracing,
    continued,
    part,
    past,
    traceparent,
)
from tests.e2e.spans import Spans, receiving
from tests.kafka_fixture import kafka_url

__all__ = ["kafka_url"]

# kafka-python leaves a socket behind for each connection that a broker refuses.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")

WAIT_SECONDS = 20.0
TRACE = "0af7651916cd43dd8448eb211c80319c"
SAMPLED, UNSAMPLED = f"00-{TRACE}-b7ad6b7169203331-01", f"00-{TRACE}-b7ad6b7169203331-00"
MODULES = ("gateway.server", "features.service", "retrieval.service", "ranker.service", "reranker.service",
           "ingest.service")  # fmt: skip


@pytest.fixture
def received() -> Iterator[Spans]:
    """What a collector received of this process, which traces a share of 0: only what a header asks for."""
    with receiving() as (spans, url):
        configure_tracing("tested", url, 0.0)
        yield spans
        close_tracing()


def eventually(holds: Callable[[], bool], what: str) -> None:
    ends_at = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < ends_at, f"Waited in vain: {what}"
        time.sleep(0.01)


def test_services_do_not_import_the_tracing_sdk_while_tracing_is_off() -> None:
    code = "import sys\n" + "".join(f"import services.{name}\n" for name in MODULES)
    # FastAPI and redis-py import the bare API by themselves.
    code += "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk.trace', 'opentelemetry.exp'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_without_a_collector_nothing_is_recorded() -> None:
    with begun(SAMPLED, "GET") as span, part("inner") as inner:
        assert (span, inner, traceparent()) == (NOTHING, NOTHING, "")


def test_an_otlp_url_that_is_none_is_refused_with_a_sentence() -> None:
    with pytest.raises(SettingsError, match="otlp_url must look like http://host:port"):
        configure_tracing("tested", "otel-collector:4318", 0.1)


@pytest.mark.parametrize(
    ("header", "recorded"),
    [(SAMPLED, True), (UNSAMPLED, False), ("", False), ("00-" + "0" * 32 + "-b7ad6b7169203331-01", False)],
)
def test_an_incoming_traceparent_decides(received: Spans, header: str, recorded: bool) -> None:
    with begun(header, "GET") as span:
        assert bool(span.traceparent) == recorded
        assert not recorded or span.traceparent.startswith(f"00-{TRACE}-")


def test_without_a_traceparent_the_configured_share_decides() -> None:
    with receiving() as (_, url):
        configure_tracing("tested", url, 1.0)
        try:
            with begun("", "GET") as one, begun(UNSAMPLED, "GET") as other:
                assert one.traceparent
                assert not other.traceparent
        finally:
            close_tracing()


def test_a_part_lies_below_the_span_around_it_and_a_failure_is_told_by_its_kind(received: Spans) -> None:
    with continued(SAMPLED, "outer", SERVER) as outer:
        outer_id = bytes.fromhex(outer.traceparent[36:52])
        with pytest.raises(ZeroDivisionError), part("inner"):
            raise ZeroDivisionError
        assert traceparent() == outer.traceparent
    close_tracing()
    inner = next(span for span in received.all() if span.name == "inner")
    assert (inner.parent, inner.trace) == (outer_id, TRACE)
    assert "error.type" in inner.attributes


def test_what_already_happened_is_recorded_below_another_process(received: Spans) -> None:
    own = past(SAMPLED, "process events", CONSUMER, None, 1_000, 2_000)
    assert own.startswith(f"00-{TRACE}-")
    assert past(UNSAMPLED, "process events", CONSUMER, None, 1_000, 2_000) == ""
    close_tracing()
    assert [span.name for span in received.all()] == ["process events"]


def test_log_lines_bear_the_trace_and_lose_it_with_the_span(received: Spans) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    stream = io.StringIO()
    try:
        configure_logs("tested")
        root.handlers[0].setStream(stream)  # type: ignore[attr-defined]  # configure_logs made a StreamHandler
        log = get_logger("tested")
        with continued(SAMPLED, "outer", SERVER), part("inner"):
            log.info("inside")
        log.info("outside")
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    inside, outside = map(json.loads, stream.getvalue().splitlines())
    assert inside["trace_id"] == TRACE
    assert "trace_id" not in outside


async def test_the_trace_crosses_the_event_log_as_a_header_even_when_the_record_was_kept_meanwhile(
    received: Spans, kafka_url: str
) -> None:
    key = uuid.uuid4().hex
    with continued(SAMPLED, "POST /v1/events", SERVER):
        fresh = Record(DEAD_LETTERS, key, b"fresh")
    kept = Record(DEAD_LETTERS, key, b"kept", fresh.traceparent)
    untraced = Record(DEAD_LETTERS, key, b"untraced")
    producer = EventLogProducer(kafka_url)
    await producer.append([fresh, untraced], timeout=10)
    await producer.append([kept], timeout=10)
    await producer.close()
    close_tracing()
    headers: dict[bytes, str] = {}
    with closing(open_consumer(kafka_url, key, [DEAD_LETTERS])) as consumer:
        ends_at = time.monotonic() + WAIT_SECONDS
        while len(headers) < 3 and time.monotonic() < ends_at:
            for records in consumer.poll(timeout_ms=200).values():
                mine = [record for record in records if record.key == key.encode()]
                headers |= {r.value: dict(r.headers).get("traceparent", b"").decode() for r in mine}
    senders = [span for span in received.all() if span.name == f"send {DEAD_LETTERS}"]
    assert untraced.traceparent == headers[b"untraced"] == ""
    assert headers[b"fresh"][3:35] == headers[b"kept"][3:35] == TRACE
    assert fresh.traceparent not in headers.values(), "The consumer is a child of the sender, not of the request."
    assert [span.parent.hex() for span in senders] == [fresh.traceparent[36:52]] * 2


def test_a_collector_that_is_away_is_left_alone_for_a_while() -> None:
    port = reserve()
    exporter = CollectorExporter(f"http://127.0.0.1:{port}/v1/traces", 0.2, pause_s=600.0)
    assert exporter.export([]) is SpanExportResult.FAILURE
    with receiving(port):
        assert exporter.export([]) is SpanExportResult.FAILURE
        impatient = CollectorExporter(f"http://127.0.0.1:{port}/v1/traces", 2.0, pause_s=0.0)
        assert impatient.export([]) is SpanExportResult.SUCCESS


def test_a_collector_that_is_away_is_told_of_once_and_its_return_too(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span_export, "PAUSE_SECONDS", 0.0)
    port = reserve()

    def told(words: str) -> int:
        return sum(bool(re.search(words, record.getMessage())) for record in caplog.records)

    def record() -> None:
        with continued(SAMPLED, "work", SERVER):
            pass
        assert tracing._Tracing.provider is not None
        tracing._Tracing.provider.force_flush()

    with caplog.at_level("INFO"):
        configure_tracing("tested", f"http://127.0.0.1:{port}", 1.0)
        try:
            record()
            record()
            assert told("the collector does not take spans") == 1
            with receiving(port) as (spans, _):
                record()
                assert [span.name for span in spans.all()] == ["work"]
            assert told("the collector takes spans again") == 1
        finally:
            close_tracing()
    assert len(caplog.records) == 2
