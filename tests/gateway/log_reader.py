"""Reads the event log as any consumer would."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from google.protobuf.message import Message

from services.runtime.eventlog import open_consumer

M = TypeVar("M", bound=Message)

READ_SECONDS = 20.0


def consumed(url: str, topic: str, kind: type[M], wanted: Callable[[M], bool], count: int = 1) -> list[tuple[str, M]]:
    """(key, message) of the first `count` messages of a topic that are wanted."""
    consumer = open_consumer(url, "", [topic], {"group_id": None})  # alone, without the wait for a group
    found: list[tuple[str, M]] = []
    deadline = time.monotonic() + READ_SECONDS
    try:
        while len(found) < count and time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=100).values():
                messages = [(record.key.decode(), kind.FromString(record.value)) for record in records]
                found += [(key, message) for key, message in messages if wanted(message)]
    finally:
        consumer.close(autocommit=False)
    assert len(found) >= count, f"{topic} has only {len(found)} of {count} messages"
    return found
