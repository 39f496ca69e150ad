"""The event log: append and read, on the Kafka protocol. A broker is a URL: kafka://host:9092."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from services.runtime.errors import SettingsError, Unavailable
from services.runtime.logs import REQUEST_ID, get_logger
from services.runtime.settings import host_and_port
from services.runtime.tracing import PRODUCER, Attributes, continued, traceparent

log = get_logger("eventlog")

EVENTS = "events"
IMPRESSIONS = "impressions"
CATALOG = "catalog"
DEAD_LETTERS = "dead-letters"

SCHEMA_VERSION = b"1"

Contexts = dict[tuple[str, str], tuple[tuple[str, bytes], ...]]
"""(topic, traceparent of a record) -> the header sent with it."""

_API_VERSION = (2, 0)
"""Protocol level every broker since Kafka 2.0 speaks, librdkafka's in-memory broker included; naming it skips a probe
that the in-memory broker does not answer."""


DELIVERY_MS = 4000
"""How long the client tries to send a record before it gives it up."""
CLOSE_SECONDS = 5.0
"""How long a client may take to end: longer than a record lives in it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One value to append."""

    topic: str
    key: str
    """Same key, same partition, same order."""
    value: bytes
    traceparent: str = field(default_factory=traceparent)
    """The trace it belongs to, by default the one of whoever makes the record; sent as a header. Empty: none."""
    headers: tuple[tuple[str, bytes], ...] = ()
    """Sent too; one named `schema` takes the place of the current version."""


class EventLog(Protocol):
    """Whatever takes records and says when they are kept."""

    async def append(self, records: Sequence[Record], *, timeout: float) -> None:
        """Returns when every record is kept; Unavailable when that cannot be."""


class EventLogProducer:
    """Appends records and knows when the broker has them.

    The client's own buffer is bounded: when it is full or the broker is away, `append` raises Unavailable.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._producer: KafkaProducer | None = None
        self._lock = threading.Lock()
        self._closing: list[threading.Thread] = []
        """Threads that let old clients go."""

    async def append(self, records: Sequence[Record], *, timeout: float) -> None:
        """Returns when the broker has acknowledged every record; Unavailable after `timeout` seconds."""
        with ExitStack() as spans:
            contexts = _sending(records, spans)
            try:
                await asyncio.wait_for(asyncio.to_thread(self._append, records, contexts, timeout), timeout + 0.5)
            except SettingsError:
                raise
            except Exception as error:
                # Whatever the client raises, closed by another append or confused by a broker that moved: it did not
                # take the records.
                self._start_anew()
                raise Unavailable(f"The event log at {self._url} did not take the records: {error!r}") from error

    def _append(self, records: Sequence[Record], contexts: Contexts, timeout: float) -> None:
        producer = self._connected()
        usual = {"schema": SCHEMA_VERSION}
        if REQUEST_ID.get():
            usual["x-request-id"] = REQUEST_ID.get().encode()
        futures = [
            producer.send(
                record.topic, key=record.key.encode(), value=record.value,
                headers=[*(usual | dict(record.headers)).items(),
                         *contexts.get((record.topic, record.traceparent), ())],
            )
            for record in records
        ]  # fmt: skip
        for future in futures:
            future.get(timeout=timeout)

    def _connected(self) -> KafkaProducer:
        with self._lock:
            if self._producer is None:
                host, port = host_and_port(self._url, "kafka", "kafka_url")
                self._producer = KafkaProducer(
                    bootstrap_servers=f"{host}:{port}",
                    api_version=_API_VERSION,
                    acks="all",
                    linger_ms=2,
                    max_block_ms=2000,
                    request_timeout_ms=3000,
                    delivery_timeout_ms=DELIVERY_MS,
                    reconnect_backoff_max_ms=500,
                )
            return self._producer

    def _start_anew(self) -> None:
        """The next append gets a client of its own: this one may wait for ever at an address that the broker left."""
        self._let_go()

    def _let_go(self) -> None:
        """Closes the client in a thread: it first waits for what it still holds to be sent or to expire."""
        with self._lock:
            producer, self._producer = self._producer, None
            self._closing = [thread for thread in self._closing if thread.is_alive()]
            if producer is not None:
                closing = threading.Thread(target=_close, args=(producer,), name="kafka-close", daemon=True)
                closing.start()
                self._closing.append(closing)

    async def close(self) -> None:
        """Sends what is buffered, for CLOSE_SECONDS at most."""
        self._let_go()
        for thread in self._closing:
            await asyncio.to_thread(thread.join, CLOSE_SECONDS)


def _close(producer: KafkaProducer) -> None:
    try:
        producer.close(CLOSE_SECONDS)
    except KafkaError as error:
        log.info("a Kafka client was left with records that it could not send", reason=repr(error))


def _sending(records: Sequence[Record], spans: ExitStack) -> Contexts:
    """Opens a span for each topic and trace among the records; the headers that lead on from it."""
    counts = Counter((record.topic, record.traceparent) for record in records if record.traceparent)
    contexts: Contexts = {}
    for (topic, parent), count in counts.items():
        attributes: Attributes = {
            "messaging.system": "kafka",
            "messaging.operation.name": "send",
            "messaging.operation.type": "send",
            "messaging.destination.name": topic,
            "messaging.batch.message_count": count,
            "peer.service": "kafka",
        }
        span = spans.enter_context(continued(parent, f"send {topic}", PRODUCER, attributes))
        contexts[topic, parent] = (("traceparent", (span.traceparent or parent).encode()),)
    return contexts


def open_consumer(
    url: str,
    group: str,
    topics: Sequence[str],
    overrides: Mapping[str, Any] | None = None,
    listener: ConsumerRebalanceListener | None = None,
) -> KafkaConsumer:
    """A consumer that starts at the group's committed offset, else at the beginning, and never commits by itself.

    The listener is told of every assignment of partitions.
    """
    host, port = host_and_port(url, "kafka", "kafka_url")
    options: dict[str, Any] = {
        "bootstrap_servers": f"{host}:{port}",
        "group_id": group,
        "api_version": _API_VERSION,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "session_timeout_ms": 6000,
        "heartbeat_interval_ms": 1500,
        "fetch_max_wait_ms": 100,
        "max_poll_records": 2000,
        "metadata_max_age_ms": 5000,
        "reconnect_backoff_max_ms": 500,
        **(overrides or {}),
    }
    consumer = KafkaConsumer(**options)
    consumer.subscribe(list(topics), listener=listener)
    return consumer
