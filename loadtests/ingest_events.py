"""What the drill of ingest sends and what must come of it: events of every kind, some twice, some unreadable."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from services.ingest import activity
from services.ingest.activity import ItemActivity, UserActivity
from services.ingest.records import EVENT_TYPES
from services.pb import events_pb2
from services.runtime.eventlog import SCHEMA_VERSION

USERS, ITEMS = 2000, 3000
DAYS = 30
"""Events lie that far back at most."""
GOOD = (("schema", SCHEMA_VERSION),)

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """A record for the topic of events."""

    key: bytes
    value: bytes
    headers: Headers = GOOD


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent and what is expected of it."""

    records: list[Sent]
    """In the order of sending."""
    events: dict[str, events_pb2.Event]
    """The valid ones by their id."""
    malformed: set[bytes]
    """Values of those that cannot be read, all different."""


def load(count: int, seed: int, duplicates: float = 0.01, malformed: float = 0.01) -> Load:
    """`count` records, shuffled; `duplicates` and `malformed` are shares of them."""
    draw, twice, bad = Random(seed), int(count * duplicates), int(count * malformed)
    now_us = time.time_ns() // 1000
    events = [_event(draw, number, now_us) for number in range(count - twice - bad)]
    valid = [_sent(event) for event in events]
    unreadable = [MALFORMED[number % len(MALFORMED)](_event(draw, count + number, now_us)) for number in range(bad)]
    records = [*valid, *draw.choices(valid, k=twice), *unreadable]
    draw.shuffle(records)
    return Load(records, {event.event_id: event for event in events}, {record.value for record in unreadable})


def expected(events: Sequence[events_pb2.Event]) -> tuple[dict[int, UserActivity], dict[int, ItemActivity]]:
    """The features of users and of items after these events, folded one by one in the order of time."""
    users, items = dict[int, UserActivity](), dict[int, ItemActivity]()
    for message in sorted(events, key=lambda event: event.ts_us):
        value = message.value if message.HasField("value") else None
        event = activity.Event(message.type, message.user_id, message.item_id, message.ts_us, value)
        users[event.user_id] = activity.apply(users.get(event.user_id, UserActivity()), event)
        items[event.item_id] = activity.apply(items.get(event.item_id, ItemActivity()), event)
    return users, items


def _event(draw: Random, number: int, now_us: int) -> events_pb2.Event:
    """Some users and items come often, most rarely."""
    kind = draw.choice(sorted(EVENT_TYPES))
    return events_pb2.Event(
        event_id=f"drill-{number}",
        type=kind,
        user_id=1 + int(USERS * draw.random() ** 2),
        item_id=1 + int(ITEMS * draw.random() ** 2),
        ts_us=now_us - draw.randrange(DAYS * 86_400_000_000),
        value=draw.choice([None, 1.0, 3.5, 5.0]) if kind == "watch" else None,
        received_us=now_us,
    )


def _sent(event: events_pb2.Event, headers: Headers = GOOD) -> Sent:
    return Sent(str(event.user_id).encode(), event.SerializeToString(), headers)


def _changed(**fields: object) -> Callable[[events_pb2.Event], Sent]:
    def change(event: events_pb2.Event) -> Sent:
        for name, value in fields.items():
            setattr(event, name, value)
        return _sent(event)

    return change


MALFORMED: tuple[Callable[[events_pb2.Event], Sent], ...] = (
    lambda event: Sent(b"?", b"\xff\xfe" + event.event_id.encode()),
    lambda event: Sent(b"?", event.SerializeToString()[:-3] + b"\xff"),
    lambda event: _sent(event, (("schema", b"9"),)),
    lambda event: _sent(event, ()),
    _changed(event_id=""),
    _changed(type="stare"),
    _changed(user_id=0),
    _changed(item_id=1 << 63),
    _changed(ts_us=0),
    _changed(ts_us=253_370_764_800_000_000),
    _changed(value=math.nan),
    _changed(position=0),
)
"""Garbage, cut short, of another version, of none, and with each field wrong."""
