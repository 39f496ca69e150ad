"""The rpcs of Training: protobuf outside, runs inside."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from services.pb import trainer_pb2, trainer_pb2_grpc
from services.runtime.errors import InvalidArgument, TooMany
from services.trainer.runs.record import Kind, Run
from services.trainer.runs.supervisor import Status, Supervisor
from services.trainer.schedule import microseconds

WATCHERS = 64
"""Streams served at once."""

Context = grpc.aio.ServicerContext[Any, Any]


class TrainingServicer(trainer_pb2_grpc.TrainingServicer):
    """Starts and tells."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._watchers = 0

    async def Start(self, request: trainer_pb2.StartRun, context: Context) -> trainer_pb2.Run:
        return run_to_proto(await self._supervisor.start(_kind(request.kind)))

    async def GetStatus(self, request: trainer_pb2.StatusRequest, context: Context) -> trainer_pb2.TrainingStatus:
        return status_to_proto(self._supervisor.status)

    async def Watch(
        self, request: trainer_pb2.StatusRequest, context: Context
    ) -> AsyncIterator[trainer_pb2.TrainingStatus]:
        if self._watchers == WATCHERS:
            raise TooMany(f"{WATCHERS} callers watch already; ask GetStatus.")
        self._watchers += 1
        try:
            async for status in self._supervisor.watch():
                yield status_to_proto(status)
        finally:
            self._watchers -= 1


def status_to_proto(status: Status) -> trainer_pb2.TrainingStatus:
    """For the wire."""
    return trainer_pb2.TrainingStatus(
        current=None if status.current is None else run_to_proto(status.current),
        recent=map(run_to_proto, status.recent),
        next_us=0 if status.next_at is None else microseconds(status.next_at),
        new_examples=status.new_examples,
        examples_wanted=status.examples_wanted,
    )


def run_to_proto(run: Run) -> trainer_pb2.Run:
    """For the wire."""
    names = trainer_pb2.Run.DESCRIPTOR.fields_by_name.keys()
    return trainer_pb2.Run(**run.model_dump(include=set(names)))


def _kind(kind: str) -> Kind:
    if kind in ("", "continuous"):
        return "continuous"
    if kind == "full":
        return "full"
    raise InvalidArgument(f"kind must be continuous or full, not {kind[:40]!r}.", field="kind")
