"""A trainer that tells of one rollout and trains nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from models.heads import Heads
from services.pb import common_pb2, trainer_pb2, trainer_pb2_grpc
from services.runtime.objectives import objectives_to_proto


class TrainerPeer(trainer_pb2_grpc.RolloutsServicer, trainer_pb2_grpc.TrainingServicer):
    """Tells of one rollout, and of every change to whoever watches."""

    def __init__(self) -> None:
        self._rollout = trainer_pb2.Rollout()
        self._changed = asyncio.Condition()

    async def say(self, **rollout: Any) -> None:
        self._rollout = trainer_pb2.Rollout(**rollout)
        async with self._changed:
            self._changed.notify_all()

    async def GetRollout(self, request: trainer_pb2.RolloutRequest, context: Any) -> trainer_pb2.Rollout:
        return self._rollout

    async def WatchRollout(
        self, request: trainer_pb2.RolloutRequest, context: Any
    ) -> AsyncIterator[trainer_pb2.Rollout]:
        told: trainer_pb2.Rollout | None = None
        while True:
            told = await self._after(told)
            yield told

    async def _after(self, told: trainer_pb2.Rollout | None) -> trainer_pb2.Rollout:
        async with self._changed:
            await self._changed.wait_for(lambda: self._rollout is not told)
        return self._rollout

    async def Promote(self, request: trainer_pb2.ModelChange, context: Any) -> trainer_pb2.ModelChanged:
        return trainer_pb2.ModelChanged(champions={request.name: request.version or "13"})

    async def Rollback(self, request: trainer_pb2.ModelChange, context: Any) -> trainer_pb2.ModelChanged:
        return trainer_pb2.ModelChanged(champions={request.name: "12"})

    async def SetObjectives(self, request: trainer_pb2.ObjectivesChange, context: Any) -> common_pb2.Objectives:
        if not set(request.weights) <= {"click", "like"}:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "There is no head 'buy'; there are click, like.")
        return objectives_to_proto("12", "mmoe", Heads(("click", "like"), (1.0, 0.0)), request.weights)

    async def Start(self, request: trainer_pb2.StartRun, context: Any) -> trainer_pb2.Run:
        return trainer_pb2.Run(run_id="1", kind=request.kind, state="running")

    async def GetStatus(self, request: trainer_pb2.StatusRequest, context: Any) -> trainer_pb2.TrainingStatus:
        return trainer_pb2.TrainingStatus(examples_wanted=5000)

    async def Watch(
        self, request: trainer_pb2.StatusRequest, context: Any
    ) -> AsyncIterator[trainer_pb2.TrainingStatus]:
        yield trainer_pb2.TrainingStatus(examples_wanted=5000)
