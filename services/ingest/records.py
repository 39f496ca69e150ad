"""What comes from the log, read and checked; what cannot be read becomes a dead letter with its reason."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from google.protobuf.message import DecodeError, Message

from services.ingest.letters import Letter
from services.ingest.versions import current
from services.pb import events_pb2
from services.runtime.eventlog import CATALOG, EVENTS, IMPRESSIONS

EVENT_TYPES = frozenset({"click", "watch", "like", "dislike", "hide", "follow", "purchase"})
MAX_ID_LENGTH = 256
"""Longest idempotence key, in characters."""
MAX_AHEAD_US = 3_600_000_000
"""How far in the future a time may lie: an hour of wrong clocks."""
_TOP = 1 << 63

M = TypeVar("M", bound=Message)


class Malformed(Exception):
    """A record that cannot be used; the message is a sentence."""


class LogRecord(Protocol):
    """One record as the Kafka client hands it over."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(slots=True)
class Batch:
    """Records of one poll, by kind, in the order of the log."""

    events: list[events_pb2.Event] = field(default_factory=list)
    impressions: list[events_pb2.Impression] = field(default_factory=list)
    changes: list[events_pb2.CatalogChange] = field(default_factory=list)
    rejected: list[Letter] = field(default_factory=list)


def read_batch(records: Iterable[LogRecord], now_us: int | None = None) -> Batch:
    """Sorts records into a batch. A record never spoils its neighbours: the unreadable ones are in `rejected`."""
    batch = Batch()
    now = time.time_ns() // 1000 if now_us is None else now_us
    for record in records:
        try:
            message = read(record.topic, record.headers, record.value, now)
        except Malformed as error:
            batch.rejected.append(Letter(_dead_letter(record, str(error), now), record.headers))
            continue
        if isinstance(message, events_pb2.Event):
            batch.events.append(message)
        elif isinstance(message, events_pb2.Impression):
            batch.impressions.append(message)
        else:
            batch.changes.append(message)
    return batch


def read(
    topic: str, headers: Sequence[tuple[str, bytes]], value: bytes | None, now_us: int
) -> events_pb2.Event | events_pb2.Impression | events_pb2.CatalogChange:
    """The message behind a record; Malformed says what is wrong with it."""
    try:
        value = current(topic, headers, value or b"")
    except ValueError as error:
        raise Malformed(str(error)) from error
    if topic == EVENTS:
        return _checked(events_pb2.Event(), value, now_us, _check_event)
    if topic == IMPRESSIONS:
        return _checked(events_pb2.Impression(), value, now_us, _check_impression)
    if topic == CATALOG:
        return _checked(events_pb2.CatalogChange(), value, now_us, _check_change)
    raise Malformed(f"Nothing is known of the topic {topic}.")


def _checked(message: M, value: bytes, now_us: int, check: Callable[[M, int], None]) -> M:
    try:
        message.ParseFromString(value)
    except (DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"The value is not a {message.DESCRIPTOR.name} ({error}).") from error
    check(message, now_us)
    return message


def _check_event(event: events_pb2.Event, now_us: int) -> None:
    _check_key("event_id", event.event_id)
    if event.type not in EVENT_TYPES:
        raise Malformed(f"type must be one of {', '.join(sorted(EVENT_TYPES))}, not {event.type!r}.")
    _check_id("user_id", event.user_id)
    _check_id("item_id", event.item_id)
    _check_time("ts_us", event.ts_us, now_us)
    if event.HasField("value") and not math.isfinite(event.value):
        raise Malformed("value must be a finite number.")
    if event.HasField("position") and not 1 <= event.position < 1 << 31:
        raise Malformed("position must be 1 or more.")


def _check_impression(impression: events_pb2.Impression, now_us: int) -> None:
    _check_key("recommendation_id", impression.recommendation_id)
    _check_time("ts_us", impression.ts_us, now_us)
    shown, columns = len(impression.item_ids), len(impression.feature_columns)
    for item_id in impression.item_ids:
        _check_id("item_ids", item_id)
    _check_length("scores", len(impression.scores), 4 * shown)
    _check_length("propensities", len(impression.propensities), 4 * shown)
    _check_length("slots", len(impression.slots), shown)
    _check_length("features", len(impression.features), 4 * shown * columns)


def _check_change(change: events_pb2.CatalogChange, now_us: int) -> None:
    _check_key("change_id", change.change_id)
    _check_time("ts_us", change.ts_us, now_us)
    kind = change.WhichOneof("change")
    if kind is None:
        raise Malformed("change is missing: nothing is put or deleted.")
    if kind == "put_item":
        _check_id("put_item.id", change.put_item.id)
        if change.put_item.created_us:
            _check_time("put_item.created_us", change.put_item.created_us, _TOP - 1 - MAX_AHEAD_US)
    elif kind == "put_user":
        _check_id("put_user.id", change.put_user.id)
    else:
        _check_id(kind, change.delete_item if kind == "delete_item" else change.delete_user)


def _check_key(name: str, key: str) -> None:
    if not 0 < len(key) <= MAX_ID_LENGTH:
        raise Malformed(f"{name} must have 1 to {MAX_ID_LENGTH} characters, not {len(key)}.")


def _check_id(name: str, number: int) -> None:
    if not 0 < number < _TOP:
        raise Malformed(f"{name} must be between 1 and 2**63 - 1, not {number}.")


def _check_time(name: str, ts_us: int, now_us: int) -> None:
    if not 0 < ts_us <= now_us + MAX_AHEAD_US:
        raise Malformed(f"{name} must lie between 1970 and now, not at {ts_us} microseconds.")


def _check_length(name: str, length: int, expected: int) -> None:
    if length != expected:
        raise Malformed(f"{name} has length {length}; the items shown make it {expected}.")


def _dead_letter(record: LogRecord, reason: str, now_us: int) -> events_pb2.DeadLetter:
    return events_pb2.DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        reason=reason,
        key=record.key or b"",
        value=record.value or b"",
        ts_us=now_us,
    )
