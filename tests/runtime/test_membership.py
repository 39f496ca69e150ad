"""What a member of a group hears from a broker that does not know it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest
from kafka import KafkaConsumer
from kafka.errors import CommitFailedError, UnknownMemberIdError
from kafka.protocol.consumer import (
    HeartbeatRequest,
    HeartbeatResponse,
    JoinGroupRequest,
    OffsetCommitRequest,
    OffsetCommitResponse,
    SyncGroupRequest,
    SyncGroupResponse,
)
from kafka.structs import OffsetAndMetadata, TopicPartition

from services.runtime.broker import kafka_broker
from services.runtime.eventlog import open_consumer
from services.runtime.membership import Membership
from tests.kafka_fixture import collected, running_broker

__all__ = ["collected"]

UNKNOWN_MEMBER = 25
Topic = OffsetCommitRequest.OffsetCommitRequestTopic
Partition = Topic.OffsetCommitRequestPartition


def commit(generation: int = 3) -> OffsetCommitRequest:
    partitions = [Partition(partition_index=number, committed_offset=5, committed_metadata="") for number in (2, 0)]
    topics = [Topic(name="events", partitions=partitions), Topic(name="catalog", partitions=partitions[:1])]
    return OffsetCommitRequest(
        group_id="ingest", generation_id_or_member_epoch=generation, member_id="a", topics=topics
    )


def frame(request: object, version: int) -> bytes:
    request.API_VERSION = version  # type: ignore[attr-defined]  # kafka-python has no types
    request.with_header(correlation_id=77)  # type: ignore[attr-defined]
    return bytes(request.encode(header=True))  # type: ignore[attr-defined]


@pytest.mark.parametrize("version", range(1, 10))
def test_a_commit_of_a_former_member_is_refused_for_each_of_its_partitions(version: int) -> None:
    refusal = Membership().refusal(frame(commit(), version))
    answer = OffsetCommitResponse.decode(refusal, version=version, header=True)
    assert answer.header.correlation_id == 77
    refused = [
        (topic.name, partition.partition_index, partition.error_code)
        for topic in answer.topics
        for partition in topic.partitions
    ]
    assert refused == [
        ("events", 2, UNKNOWN_MEMBER), ("events", 0, UNKNOWN_MEMBER), ("catalog", 2, UNKNOWN_MEMBER),
    ]  # fmt: skip


@pytest.mark.parametrize("version", range(5))
def test_a_heartbeat_and_a_sync_of_a_former_member_are_refused(version: int) -> None:
    beat = HeartbeatRequest(group_id="ingest", generation_id=3, member_id="a")
    sync = SyncGroupRequest(group_id="ingest", generation_id=3, member_id="a", assignments=[])
    membership = Membership()
    answers = (
        HeartbeatResponse.decode(membership.refusal(frame(beat, version)), version=version, header=True),
        SyncGroupResponse.decode(membership.refusal(frame(sync, version)), version=version, header=True),
    )
    assert [(answer.error_code, answer.header.correlation_id) for answer in answers] == [(UNKNOWN_MEMBER, 77)] * 2


def test_once_somebody_joined_a_group_its_members_are_left_to_the_broker() -> None:
    membership = Membership()
    join = JoinGroupRequest(
        group_id="ingest", session_timeout_ms=6000, member_id="", protocol_type="consumer", protocols=[]
    )
    assert membership.refusal(frame(join, 3)) is None
    assert membership.refusal(frame(commit(), 4)) is None
    assert membership.refusal(frame(HeartbeatRequest(group_id="other", generation_id=3, member_id="a"), 2)) is not None


def test_who_takes_its_partitions_by_itself_may_commit() -> None:
    assert Membership().refusal(frame(commit(generation=-1), 4)) is None


@pytest.fixture
def former_member() -> Iterator[KafkaConsumer]:
    """Joined at a broker that came back empty since."""
    with running_broker() as url:
        member = open_consumer(
            url, "ingest", ["events"], {"session_timeout_ms": 60_000, "heartbeat_interval_ms": 20_000}
        )
        while not member.assignment():
            member.poll(100)
    with running_broker(int(url.rsplit(":", 1)[1])), closing(member):
        yield member


def test_offsets_of_a_log_that_is_gone_are_not_kept(former_member: KafkaConsumer) -> None:
    place = TopicPartition("events", 1)
    with pytest.raises(CommitFailedError) as refused:
        former_member.commit({place: OffsetAndMetadata(2, "", -1)}, timeout_ms=5000)
    assert isinstance(refused.value.args[0], UnknownMemberIdError)
    assert former_member.committed(place) is None


async def test_refusals_come_in_the_order_of_the_requests() -> None:
    async with kafka_broker() as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        api_versions, refused = b"\x00\x12\x00\x00", frame(commit(), 4)
        for number in range(6):
            request = refused[:4] if number % 2 else api_versions
            body = request + number.to_bytes(4, "big") + (refused[8:] if number % 2 else b"\xff\xff")
            writer.write(len(body).to_bytes(4, "big") + body)
        order = []
        async with asyncio.timeout(20):
            for _ in range(6):
                answer = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
                order.append((int.from_bytes(answer[:4], "big"), b"events" in answer))
        writer.close()
    assert order == [(number, number % 2 == 1) for number in range(6)]
