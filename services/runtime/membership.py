"""What Kafka says to a member that it does not know, where librdkafka's in-memory broker says something else.

A broker that came back empty knows no groups. Kafka answers the heartbeats and commits of former members with an error
on which every client joins anew; the in-memory broker answers heartbeats with one that clients do not expect there
(GROUP_ID_NOT_FOUND) and keeps the offsets, which belong to the log that is gone.
"""

from __future__ import annotations

from kafka.errors import UnknownMemberIdError
from kafka.protocol.consumer import (
    HeartbeatRequest,
    HeartbeatResponse,
    JoinGroupRequest,
    OffsetCommitRequest,
    OffsetCommitResponse,
    SyncGroupRequest,
    SyncGroupResponse,
)

_UNKNOWN_MEMBER = UnknownMemberIdError.errno
_MEMBERS_ONLY = {request.API_KEY: request for request in (HeartbeatRequest, SyncGroupRequest, OffsetCommitRequest)}


class Membership:
    """Which groups somebody joined at this broker."""

    def __init__(self) -> None:
        self._joined: set[str] = set()

    def refusal(self, frame: bytes) -> bytes | None:
        """The answer to a request of a former member, None for every other request. Frames without their length."""
        key, version = int.from_bytes(frame[:2], "big"), int.from_bytes(frame[2:4], "big")
        if key == JoinGroupRequest.API_KEY:
            self._joined.add(JoinGroupRequest.decode(frame, version=version, header=True).group_id)
        if key not in _MEMBERS_ONLY:
            return None
        request = _MEMBERS_ONLY[key].decode(frame, version=version, header=True)
        if request.group_id in self._joined or _is_alone(request):
            return None
        answer = _refused(request)
        answer.API_VERSION = version
        answer.with_header(correlation_id=request.header.correlation_id)
        return bytes(answer.encode(header=True))


def _is_alone(request: HeartbeatRequest | SyncGroupRequest | OffsetCommitRequest) -> bool:
    """Who commits without a generation takes its partitions by itself and is no member."""
    return isinstance(request, OffsetCommitRequest) and request.generation_id_or_member_epoch < 0


def _refused(
    request: HeartbeatRequest | SyncGroupRequest | OffsetCommitRequest,
) -> HeartbeatResponse | SyncGroupResponse | OffsetCommitResponse:
    if isinstance(request, HeartbeatRequest):
        return HeartbeatResponse(error_code=_UNKNOWN_MEMBER)
    if isinstance(request, SyncGroupRequest):
        return SyncGroupResponse(error_code=_UNKNOWN_MEMBER, assignment=b"")
    topic_of = OffsetCommitResponse.OffsetCommitResponseTopic
    partition_of = topic_of.OffsetCommitResponsePartition
    topics = [
        topic_of(
            name=topic.name,
            partitions=[
                partition_of(partition_index=partition.partition_index, error_code=_UNKNOWN_MEMBER)
                for partition in topic.partitions
            ],
        )
        for topic in request.topics
    ]
    return OffsetCommitResponse(topics=topics)
