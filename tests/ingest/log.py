"""What tests append to the log, and what they look for in the sinks."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow.dataset as ds
from kafka import KafkaConsumer, KafkaProducer
from redis import Redis

from loadtests.lake_ids import merged_from
from services.features.packing import View
from services.features.rows import Rows, unpack
from services.pb import events_pb2
from services.runtime.eventlog import DEAD_LETTERS, open_consumer
from services.runtime.settings import host_and_port

WAIT_SECONDS = 60.0
SCHEMA = (("schema", b"1"),)


class Sender:
    """Appends raw records, as the gateway or a stranger would."""

    def __init__(self, url: str) -> None:
        host, port = host_and_port(url, "kafka", "url")
        self._producer = KafkaProducer(bootstrap_servers=f"{host}:{port}", api_version=(2, 0), linger_ms=1)

    def send(self, topic: str, *messages: Any, headers: Sequence[tuple[str, bytes]] = SCHEMA) -> None:
        """Messages, or bytes that are none; returns when the broker has them all."""
        acks = []
        for message in messages:
            value = message if isinstance(message, bytes) else message.SerializeToString()
            acks.append(self._producer.send(topic, key=b"1", value=value, headers=list(headers)))
        for ack in acks:
            ack.get(10)

    def close(self) -> None:
        self._producer.close(5)


def event(user_id: int = 7, item_id: int = 9, kind: str = "click", **fields: Any) -> events_pb2.Event:
    """A valid event of now, with an id of its own unless one is given."""
    now_us = time.time_ns() // 1000
    given = {"event_id": uuid.uuid4().hex, "ts_us": now_us, "received_us": now_us, **fields}
    return events_pb2.Event(type=kind, user_id=user_id, item_id=item_id, **given)


def impression(recommendation_id: str, item_ids: Sequence[int], columns: Sequence[str] = ("a", "b")) -> Any:
    """A slate; item i has score i / 10, propensity 1 / (i + 1) and features 10 i, 10 i + 1, …"""
    shown = np.arange(len(item_ids), dtype="<f4")
    features = 10 * shown[:, None] + np.arange(len(columns), dtype="<f4")
    return events_pb2.Impression(
        recommendation_id=recommendation_id,
        user_id=7,
        surface="home",
        ts_us=time.time_ns() // 1000,
        item_ids=item_ids,
        scores=(shown / 10).astype("<f4").tobytes(),
        propensities=(1 / (shown + 1)).astype("<f4").tobytes(),
        slots=["ranked"] * len(item_ids),
        feature_columns=columns,
        features=features.astype("<f4").tobytes(),
        model_versions={"ranker": "3"},
        served_by="fresh",
    )


def change(**fields: Any) -> events_pb2.CatalogChange:
    """A change of the catalog of now."""
    return events_pb2.CatalogChange(change_id=uuid.uuid4().hex, ts_us=time.time_ns() // 1000, **fields)


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Waits for a condition; fails with `what` when it does not come true in time."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"Waited {WAIT_SECONDS:g} s in vain: {what}"
        time.sleep(0.05)


def read_log(url: str, count: int, *topics: str) -> list[Any]:
    """The first records of some topics, in the order they came."""
    consumer, found = open_consumer(url, "", list(topics), {"group_id": None}), list[Any]()

    def enough() -> bool:
        for records in consumer.poll(timeout_ms=100).values():
            found.extend(records)
        return len(found) >= count

    try:
        eventually(enough, f"{count} records of {', '.join(topics)}")
    finally:
        consumer.close(autocommit=False)
    return found


def rows(redis: Redis, view: View, *ids: int) -> Rows:
    """What the online store says of some entities."""
    numbers = np.array(ids, np.uint64)
    return unpack(view, numbers, cast(list[bytes | None], redis.mget(view.keys(numbers))))


def value(redis: Redis, layouts: Mapping[str, View], view: str, entity: int, name: str) -> Any:
    """One feature of one entity; None when it is unknown."""
    return rows(redis, layouts[view], entity).values(name)[0]


def lake_rows(data_dir: Path, kind: str) -> list[dict[str, Any]]:
    """Every row of a kind in the lake, in the order of the files; without those that a merge took in."""
    paths = sorted((data_dir / "lake" / kind).glob("**/*.parquet"))
    merged = {path.with_name(name) for path in paths for name in merged_from(path)}
    files = [str(path) for path in paths if path not in merged]
    return cast(list[dict[str, Any]], ds.dataset(files, partitioning=None).to_table().to_pylist()) if files else []


def dead_letters(url: str, count: int) -> list[events_pb2.DeadLetter]:
    """The first `count` dead letters of a broker."""
    consumer: KafkaConsumer = open_consumer(url, uuid.uuid4().hex, [DEAD_LETTERS])
    letters: list[events_pb2.DeadLetter] = []

    def enough() -> bool:
        for polled in consumer.poll(timeout_ms=100).values():
            letters.extend(events_pb2.DeadLetter.FromString(record.value) for record in polled)
        return len(letters) >= count

    try:
        eventually(enough, f"{count} dead letters")
    finally:
        consumer.close(autocommit=False)
    return letters
