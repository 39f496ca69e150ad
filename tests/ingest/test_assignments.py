"""Where reading goes on when partitions were assigned."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from kafka import KafkaConsumer
from kafka.structs import OffsetAndMetadata

from services.ingest.assignments import Assignments
from services.runtime.eventlog import open_consumer
from tests.ingest.log import Sender, event, eventually


@pytest.fixture
def assignments() -> Assignments:
    return Assignments()


@pytest.fixture
def member(broker: str, sender: Sender, assignments: Assignments) -> Iterator[KafkaConsumer]:
    """The only member of a group, with the five events of one partition read and none committed."""
    sender.send("events", *(event(1, item) for item in range(5)))
    with closing(open_consumer(broker, uuid.uuid4().hex, ["events"], listener=assignments)) as consumer:
        read: list[Any] = []

        def all_read() -> bool:
            for records in consumer.poll(100).values():
                read.extend(records)
            return len(read) == 5

        eventually(all_read, "five events")
        yield consumer


def offsets(member: KafkaConsumer) -> list[int]:
    return sorted(member.position(partition, timeout_ms=10_000) for partition in member.assignment())


def test_every_partition_goes_to_its_committed_offset_and_else_to_its_beginning(
    member: KafkaConsumer, assignments: Assignments
) -> None:
    assert assignments.pending
    assert offsets(member) == [0, 0, 0, 5]
    assignments.settle(member)
    assert offsets(member) == [0, 0, 0, 0]
    assert not assignments.pending
    (full,) = (partition for partition, end in member.end_offsets(list(member.assignment())).items() if end)
    member.commit({full: OffsetAndMetadata(3, "", -1)}, timeout_ms=5000)
    member.seek(full, 4)
    assignments.settle(member)
    assert member.position(full) == 3
