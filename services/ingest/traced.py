"""What a batch looks like in the traces of the requests that caused it.

A batch is folded once for everybody, and each trace wants to show it: every request among its records gets spans of its
own with the batch's times, so that a trace reads gateway → kafka → ingest → redis and, when it comes to that, lake.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from services.ingest.records import LogRecord
from services.runtime.eventlog import IMPRESSIONS
from services.runtime.tracing import CLIENT, CONSUMER, Attributes, past

MOST_TRACES = 64
"""Traces told of one batch, and of one flush, at most."""

_REDIS: Attributes = {"db.system.name": "redis", "db.operation.name": "MULTI", "peer.service": "redis"}
_LAKE: Attributes = {"peer.service": "lake"}


class BatchTraces:
    """Between a poll and the flush that follows."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._callers: dict[str, str] = {}
        """Headers of the records that are being folded -> their topic."""
        self._gathered: list[str] = []
        """Contexts whose records wait for the lake."""

    def polled(self, records: Iterable[LogRecord]) -> None:
        """Remembers who caused these records."""
        self._callers.clear()
        for record in records:
            for name, value in record.headers:
                if name == "traceparent" and len(self._callers) < MOST_TRACES:
                    self._callers[value.decode("latin-1")] = record.topic

    def folded(self, started_ns: int, count: int) -> None:
        """Tells each trace that a batch of `count` records was folded into the online store since `started_ns`."""
        if not self._callers:
            return
        ended_ns = time.time_ns()
        for caller, topic in self._callers.items():
            attributes: Attributes = {
                "messaging.system": "kafka",
                "messaging.operation.name": "process",
                "messaging.operation.type": "process",
                "messaging.destination.name": topic,
                "messaging.consumer.group.name": self._group,
                "messaging.batch.message_count": count,
            }
            mine = past(caller, f"process {topic}", CONSUMER, attributes, started_ns, ended_ns)
            if mine and topic != IMPRESSIONS:
                past(mine, "MULTI", CLIENT, _REDIS, started_ns, ended_ns)
            if mine and len(self._gathered) < MOST_TRACES:
                self._gathered.append(mine)

    def flushed(self, started_ns: int) -> None:
        """Tells each trace that its records came into the lake."""
        ended_ns = time.time_ns()
        for mine in self._gathered:
            past(mine, "append to the lake", CLIENT, _LAKE, started_ns, ended_ns)
        self._gathered.clear()
