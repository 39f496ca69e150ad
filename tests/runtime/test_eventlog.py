"""The event log against a real Kafka listener."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from confluent_kafka import Producer
from ephemeral_port_reserve import reserve
from kafka import KafkaConsumer

from services.runtime.broker import Forwarder
from services.runtime.errors import SettingsError, Unavailable
from services.runtime.eventlog import DEAD_LETTERS, SCHEMA_VERSION, EventLogProducer, Record, open_consumer
from services.runtime.logs import REQUEST_ID
from tests.kafka_fixture import collected, kafka_url, running_broker

__all__ = ["collected", "kafka_url"]

WAIT_SECONDS = 20.0
TOPIC = DEAD_LETTERS
"""A topic that no other test of the shared broker reads."""


@contextmanager
def consumer_of(url: str) -> Iterator[KafkaConsumer]:
    with closing(open_consumer(url, f"group-{uuid.uuid4().hex}", [TOPIC])) as consumer:
        yield consumer


def records_with(consumer: KafkaConsumer, key: str, count: int) -> list[Any]:
    """The first `count` records under a key."""
    found: list[Any] = []
    ends_at = time.monotonic() + WAIT_SECONDS
    while len(found) < count:
        assert time.monotonic() < ends_at, f"{len(found)} of {count} records came in time."
        for records in consumer.poll(timeout_ms=200).values():
            found.extend(record for record in records if record.key == key.encode())
    return found


async def appended(url: str, records: list[Record], timeout: float = 10.0) -> None:
    producer = EventLogProducer(url)
    try:
        await producer.append(records, timeout=timeout)
    finally:
        await producer.close()


async def test_what_was_acknowledged_can_be_read_in_its_order(kafka_url: str) -> None:
    key = uuid.uuid4().hex
    await appended(kafka_url, [Record(TOPIC, key, str(number).encode()) for number in range(50)])
    with consumer_of(kafka_url) as consumer:
        found = await asyncio.to_thread(records_with, consumer, key, 50)
    assert [record.value for record in found] == [str(number).encode() for number in range(50)]
    assert len({record.partition for record in found}) == 1


async def test_a_record_carries_its_schema_and_the_request_it_came_from(kafka_url: str) -> None:
    key = uuid.uuid4().hex
    await appended(kafka_url, [Record(TOPIC, key, b"outside of a request")])
    token = REQUEST_ID.set("request-7")
    try:
        await appended(kafka_url, [Record(TOPIC, key, b"inside")])
    finally:
        REQUEST_ID.reset(token)
    with consumer_of(kafka_url) as consumer:
        outside, inside = await asyncio.to_thread(records_with, consumer, key, 2)
    assert outside.headers == [("schema", SCHEMA_VERSION)]
    assert inside.headers == [("schema", SCHEMA_VERSION), ("x-request-id", b"request-7")]


async def test_nothing_to_append_needs_no_broker_answer(kafka_url: str) -> None:
    await appended(kafka_url, [])


async def test_a_group_goes_on_where_it_committed(kafka_url: str) -> None:
    key, group = uuid.uuid4().hex, f"group-{uuid.uuid4().hex}"
    await appended(kafka_url, [Record(TOPIC, key, b"first")])
    with closing(open_consumer(kafka_url, group, [TOPIC])) as consumer:
        await asyncio.to_thread(records_with, consumer, key, 1)
        await asyncio.to_thread(consumer.commit)
    await appended(kafka_url, [Record(TOPIC, key, b"second")])
    with closing(open_consumer(kafka_url, group, [TOPIC])) as consumer:
        found = await asyncio.to_thread(records_with, consumer, key, 1)
    assert [record.value for record in found] == [b"second"]


async def test_without_a_broker_append_is_unavailable_within_its_timeout() -> None:
    url = f"kafka://127.0.0.1:{reserve()}"
    async with asyncio.timeout(WAIT_SECONDS):
        with pytest.raises(Unavailable, match=f"The event log at {url} did not take the records"):
            await appended(url, [Record(TOPIC, "1", b"lost")], timeout=0.5)


async def test_a_broker_that_went_away_is_unavailable_and_is_found_when_it_is_back() -> None:
    port, key = reserve(), uuid.uuid4().hex
    url = f"kafka://127.0.0.1:{port}"
    producer = EventLogProducer(url)
    try:
        with running_broker(port):
            await producer.append([Record(TOPIC, key, b"before")], timeout=10)
        with pytest.raises(Unavailable):
            await producer.append([Record(TOPIC, key, b"while away")], timeout=0.5)
        with running_broker(port):
            await producer.append([Record(TOPIC, key, b"after")], timeout=10)
    finally:
        await producer.close()


class Signpost(Forwarder):
    """Leads to a broker and lets it tell its own address, as a container's name does."""

    def readdressed(self, answer: bytes, asked: set[bytes]) -> bytes:
        return answer


async def port_of(broker: Producer) -> int:
    metadata = await asyncio.to_thread(broker.list_topics, TOPIC, timeout=10)
    return int(next(iter(metadata.brokers.values())).port)


async def test_a_broker_that_comes_back_at_another_address_is_found() -> None:
    first = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    signpost = Signpost(await port_of(first))
    async with await asyncio.start_server(signpost.serve, "127.0.0.1", 0) as server:
        producer = EventLogProducer(f"kafka://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        try:
            await producer.append([Record(TOPIC, "1", b"before")], timeout=10)
            second = Producer({"test.mock.num.brokers": 1, "log_level": 0})
            signpost.target = await port_of(second)
            del first
            with pytest.raises(Unavailable):
                await producer.append([Record(TOPIC, "1", b"while moving")], timeout=0.5)
            await producer.append([Record(TOPIC, "1", b"after")], timeout=10)
        finally:
            await producer.close()
            await signpost.close()


async def test_a_wrong_url_is_named() -> None:
    with pytest.raises(SettingsError, match="kafka_url must look like kafka://host:port"):
        await appended("http://127.0.0.1:9092", [Record(TOPIC, "1", b"x")])
