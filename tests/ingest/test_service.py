"""Ingest from end to end: a real broker, a real Redis, real Parquet files."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from kafka import ConsumerRebalanceListener, KafkaConsumer
from kafka.structs import TopicPartition
from redis import Redis

from services.features.packing import VIEWS_KEY, View
from services.ingest.activity import DAY_US
from services.ingest.service import SERVICE
from services.ingest.settings import IngestSettings
from services.pb import events_pb2
from services.runtime.eventlog import open_consumer
from services.runtime.server import serving
from services.runtime.stores import redis_server
from tests.ingest.log import Sender, change, dead_letters, event, eventually, impression, lake_rows, rows, value
from tests.kafka_fixture import another_door, collected, running_broker

__all__ = ["collected"]

ROOT = Path(__file__).parents[2]


@contextmanager
def ingest_process(settings: IngestSettings) -> Iterator[subprocess.Popen[bytes]]:
    """Ingest as it runs in production, with a member that is missed soon when it dies."""
    environment = {
        **os.environ,
        "CASCADE_DATA_DIR": str(settings.data_dir),
        "CASCADE_REDIS_URL": settings.redis_url,
        "CASCADE_KAFKA_URL": settings.kafka_url,
        "CASCADE_INGEST_PORT": "0",
        "CASCADE_INGEST_LAKE_SECONDS": "0.05",
        "CASCADE_INGEST_SESSION_SECONDS": "3.5",
    }
    with (settings.data_dir / "ingest.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "services.ingest"], env=environment, cwd=ROOT, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def send_once(url: str, *messages: events_pb2.Event) -> None:
    with closing(Sender(url)) as sender:
        sender.send("events", *messages)


def event_ids(settings: IngestSettings) -> Counter[str]:
    return Counter(row["event_id"] for row in lake_rows(settings.data_dir, "events"))


async def test_what_is_sent_reaches_both_sinks_and_what_is_bad_the_dead_letters(
    redis: Redis, layouts: dict[str, View], settings: IngestSettings, sender: Sender
) -> None:
    early, late = event(7, 1, ts_us=2 * DAY_US), event(7, 2, ts_us=3 * DAY_US)
    record = events_pb2.ItemRecord(id=5, item_id="heat", title="Heat")
    sender.send("events", late, b"\xff\xff", early, late, event(7, 3, "hide"))
    sender.send("events", event(7, 4), headers=[("schema", b"9")])
    sender.send("impressions", impression("r-1", [1, 2]))
    sender.send("catalog", change(put_item=record), change(put_item=events_pb2.ItemRecord(id=6)), change(delete_item=6))
    async with serving(SERVICE, settings):
        letters = dead_letters(settings.kafka_url, 2)
        eventually(lambda: len(lake_rows(settings.data_dir, "events")) == 3, "three events in the lake")
        eventually(lambda: len(lake_rows(settings.data_dir, "impressions")) == 2, "two shown items in the lake")
        eventually(lambda: redis.smembers(layouts["item_profile"].index) == {b"5"}, "the put item alone")
    assert value(redis, layouts, "user_history", 7, "history").tolist() == [1, 2]  # by time, not by arrival
    assert value(redis, layouts, "user_activity", 7, "event_count") == 2
    assert value(redis, layouts, "user_exclusions", 7, "hidden").tolist() == [3]
    assert sorted(letter.value == b"\xff\xff" for letter in letters) == [False, True]
    assert any("schema" in letter.reason for letter in letters)


async def test_a_stop_finishes_what_the_log_holds(redis: Redis, settings: IngestSettings, sender: Sender) -> None:
    async with serving(SERVICE, settings):
        sender.send("events", event(1, 1))
        eventually(lambda: len(event_ids(settings)) == 1, "the first event")
        sender.send("events", *(event(1, item) for item in range(1, 300)))
    assert len(event_ids(settings)) == 300


async def test_a_restart_begins_where_the_last_run_ended(
    redis: Redis, layouts: dict[str, View], settings: IngestSettings, sender: Sender
) -> None:
    for item in (1, 2):
        async with serving(SERVICE, settings):
            sender.send("events", event(1, item))
            eventually(lambda item=item: len(event_ids(settings)) == item, f"event {item}")  # type: ignore[misc]  # mypy cannot infer a lambda with a default
    assert value(redis, layouts, "user_history", 1, "history").tolist() == [1, 2]


async def test_a_member_left_without_partitions_joins_anew(
    redis: Redis, settings: IngestSettings, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Any] = []

    def at_first_without_topics(*arguments: Any, **options: Any) -> Any:
        opened.append(open_consumer(*arguments, **options))
        if len(opened) == 1:
            opened[0].unsubscribe()
            opened[0].subscribe(pattern="^no such topic$")
        return opened[-1]

    monkeypatch.setattr("services.ingest.consumer.FIRST_PATIENCE_SECONDS", 1.0)
    monkeypatch.setattr("services.ingest.service.open_consumer", at_first_without_topics)
    async with serving(SERVICE, settings):
        sender.send("events", event(1, 1))
        eventually(lambda: len(event_ids(settings)) == 1, "the event")
    assert len(opened) >= 2


async def test_a_broker_that_comes_back_empty_is_read_from_its_beginning(
    redis: Redis, settings: IngestSettings
) -> None:
    brokers = ExitStack()
    url = brokers.enter_context(running_broker())
    send_once(url, event(1, 1), event(1, 2))
    async with serving(SERVICE, settings.model_copy(update={"kafka_url": url, "session_seconds": 3.5})):
        eventually(lambda: len(event_ids(settings)) == 2, "the events before the restart")
        brokers.close()
        brokers.enter_context(running_broker(port=int(url.rsplit(":", 1)[1])))
        # More than the old offset: who went on from there would miss two.
        send_once(url, *(event(1, item) for item in range(3, 8)))
        eventually(lambda: len(event_ids(settings)) == 7, "the events after the restart")
    brokers.close()


async def test_a_log_that_outgrew_the_old_offset_before_it_was_seen_is_read_from_its_beginning(
    redis: Redis, settings: IngestSettings
) -> None:
    with ExitStack() as brokers:
        first = brokers.enter_context(ExitStack())
        url = first.enter_context(running_broker())
        send_once(url, event(1, 1), event(1, 2))
        async with serving(SERVICE, settings.model_copy(update={"kafka_url": url, "session_seconds": 3.5})):
            eventually(lambda: len(event_ids(settings)) == 2, "the events before the restart")
            first.close()
            second = brokers.enter_context(running_broker())
            # No fetch finds the old offset out of range, which alone would send a client to the beginning.
            send_once(second, *(event(1, item) for item in range(3, 8)))
            brokers.enter_context(another_door(second, int(url.rsplit(":", 1)[1])))
            eventually(lambda: len(event_ids(settings)) == 7, "the events after the restart")


class AtTheFirstRecord(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Puts every partition behind its first record before it tells of it, as a client does that kept its position."""

    def __init__(self, told: ConsumerRebalanceListener) -> None:
        self.consumer: KafkaConsumer = None
        self._told = told

    def on_partitions_revoked(self, revoked: Any) -> None:
        self._told.on_partitions_revoked(revoked)

    def on_partitions_assigned(self, assigned: Any) -> None:
        for partition in assigned:
            self.consumer.seek(partition, 1)
        self._told.on_partitions_assigned(assigned)


async def test_a_position_that_the_client_kept_when_it_joined_is_not_believed(
    redis: Redis, settings: IngestSettings, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_kept_positions(*arguments: Any, **options: Any) -> Any:
        keeping = AtTheFirstRecord(options["listener"])
        keeping.consumer = open_consumer(*arguments, **options | {"listener": keeping})
        return keeping.consumer

    monkeypatch.setattr("services.ingest.service.open_consumer", with_kept_positions)
    sender.send("events", event(1, 1), event(1, 2))
    async with serving(SERVICE, settings):
        eventually(lambda: len(event_ids(settings)) == 2, "both events, none of which is committed")
        sender.send("events", event(1, 3))
        eventually(lambda: len(event_ids(settings)) == 3, "an event after the offset that was committed")


async def test_a_broker_that_comes_back_empty_is_noticed_before_anything_was_read(
    redis: Redis, settings: IngestSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[KafkaConsumer] = []

    def remembered(*arguments: Any, **options: Any) -> Any:
        opened.append(open_consumer(*arguments, **options))
        return opened[-1]

    monkeypatch.setattr("services.ingest.service.open_consumer", remembered)
    brokers = ExitStack()
    url = brokers.enter_context(running_broker())
    async with serving(SERVICE, settings.model_copy(update={"kafka_url": url, "session_seconds": 3.5})):
        eventually(lambda: bool(opened and opened[-1].assignment()), "partitions of the first broker")
        brokers.close()
        brokers.enter_context(running_broker(port=int(url.rsplit(":", 1)[1])))
        send_once(url, event(1, 1))
        # A broker takes offsets only of the members it knows.
        eventually(lambda: knows_group(url, settings.group), "a commit to the second broker")
        assert len(event_ids(settings)) == 1
    brokers.close()


def knows_group(url: str, group: str) -> bool:
    server = url.removeprefix("kafka://")
    with closing(KafkaConsumer(bootstrap_servers=server, group_id=group, api_version=(2, 0))) as consumer:
        return any(consumer.committed(TopicPartition("events", number)) is not None for number in range(4))


def test_killed_at_random_moments_it_loses_nothing_and_doubles_nothing(
    redis: Redis, layouts: dict[str, View], settings: IngestSettings, sender: Sender
) -> None:
    chance = random.Random(7)
    sent: list[events_pb2.Event] = []

    def send_some() -> None:
        fresh = [event(chance.randint(1, 20), chance.randint(1, 30), "click") for _ in range(200)]
        sent.extend(fresh)
        sender.send("events", *fresh, *chance.sample(sent, 20))

    for _ in range(2):
        with ingest_process(settings) as process:
            send_some()
            before = len(event_ids(settings))
            eventually(lambda: len(event_ids(settings)) > before, "some progress")  # noqa: B023
            send_some()
            time.sleep(chance.random() * 0.1)  # the moment of the crash, anywhere in a batch
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    with ingest_process(settings) as process:
        eventually(lambda: len(event_ids(settings)) == len(sent), "every event in the lake")
        process.terminate()
        assert process.wait(20) == 0
    assert event_ids(settings) == Counter(message.event_id for message in sent)
    users = sorted({message.user_id for message in sent})
    counted = rows(redis, layouts["user_activity"], *users).values("event_count")
    assert dict(zip(users, counted, strict=True)) == Counter(message.user_id for message in sent)


def test_without_redis_it_says_so_and_ends_with_status_2(settings: IngestSettings) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "services.ingest"],
        env={**os.environ, "CASCADE_REDIS_URL": "redis://127.0.0.1:1/0", "CASCADE_INGEST_START_SECONDS": "0.3"},
        cwd=ROOT, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "The online store does not answer" in ended.stderr
    assert "Traceback" not in ended.stderr


async def test_redis_away_for_a_while_delays_and_loses_nothing(
    layouts: dict[str, View], settings: IngestSettings, sender: Sender
) -> None:
    stores = ExitStack()
    url = stores.enter_context(redis_server(settings.data_dir / "redis"))
    with closing(Redis.from_url(url)) as redis:
        redis.hset(VIEWS_KEY, mapping={name: view.to_json() for name, view in layouts.items()})
    async with serving(SERVICE, settings.model_copy(update={"redis_url": url})):
        sender.send("events", event(1, 1))
        eventually(lambda: len(event_ids(settings)) == 1, "the event before the outage")
        stores.close()
        sender.send("events", event(1, 2), event(1, 3))
        stores.enter_context(redis_server(settings.data_dir / "redis", port=int(url.split(":")[2].split("/")[0])))
        eventually(lambda: len(event_ids(settings)) == 3, "the events of the outage")
    with closing(Redis.from_url(url)) as redis:
        assert value(redis, layouts, "user_activity", 1, "event_count") == 3
    stores.close()
