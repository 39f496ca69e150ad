"""The event log: append and read, on the Kafka protocol. A broker is a URL: kafka://host:9092."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kafka import KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError

from services.runtime.errors import Unavailable
from services.runtime.logs import REQUEST_ID, get_logger
from services.runtime.settings import host_and_port

log = get_logger("eventlog")

EVENTS = "events"
IMPRESSIONS = "impressions"
CATALOG = "catalog"
DEAD_LETTERS = "dead-letters"

SCHEMA_VERSION = b"1"

_API_VERSION = (2, 0)
"""Protocol level every broker since Kafka 2.0 speaks, librdkafka's in-memory broker included; naming it skips a probe
that the in-memory broker does not answer."""


@dataclass(frozen=True, slots=True)
class Record:
    """One value to append."""

    topic: str
    key: str
    """Same key, same partition, same order."""
    value: bytes


class EventLogProducer:
    """Appends records and knows when the broker has them.

    The client's own buffer is bounded: when it is full or the broker is away, `append` raises Unavailable.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._producer: KafkaProducer | None = None
        self._lock = threading.Lock()

    async def append(self, records: Sequence[Record], *, timeout: float) -> None:
        """Returns when the broker has acknowledged every record; Unavailable after `timeout` seconds."""
        try:
            await asyncio.wait_for(asyncio.to_thread(self._append, records, timeout), timeout + 0.5)
        except (TimeoutError, KafkaError) as error:
            raise Unavailable(f"The event log at {self._url} did not take the records: {error!r}") from error

    def _append(self, records: Sequence[Record], timeout: float) -> None:
        producer = self._connected()
        headers = [("schema", SCHEMA_VERSION)]
        if REQUEST_ID.get():
            headers.append(("x-request-id", REQUEST_ID.get().encode()))
        futures = [
            producer.send(record.topic, key=record.key.encode(), value=record.value, headers=headers)
            for record in records
        ]
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
                    request_timeout_ms=5000,
                    delivery_timeout_ms=10000,
                    reconnect_backoff_max_ms=500,
                )
            return self._producer

    async def close(self) -> None:
        """Sends what is buffered, for five seconds at most."""
        with self._lock:
            producer, self._producer = self._producer, None
        if producer is not None:
            await asyncio.to_thread(producer.close, 5)


def open_consumer(
    url: str, group: str, topics: Sequence[str], overrides: Mapping[str, Any] | None = None
) -> KafkaConsumer:
    """A consumer that starts at the group's committed offset, else at the beginning, and never commits by itself."""
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
    consumer.subscribe(list(topics))
    return consumer
