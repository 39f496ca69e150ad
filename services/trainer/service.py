"""The door of the trainer as a service: runs that are due or asked for, and the rollout of what they publish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from services.pb import trainer_pb2_grpc
from services.runtime.registry import Registry
from services.runtime.server import Door, Service
from services.trainer.rollout.servicer import open_rollouts
from services.trainer.runs.arrivals import Arrivals
from services.trainer.runs.folder import Runs
from services.trainer.runs.servicer import TrainingServicer
from services.trainer.runs.supervisor import Supervisor, supervising
from services.trainer.schedule import Schedule
from services.trainer.settings import TrainerSettings


@asynccontextmanager
async def build(settings: TrainerSettings) -> AsyncIterator[Door]:
    """Follows the schedule and the rollout until the block ends."""
    registry = await asyncio.to_thread(Registry.open, settings.data_dir, settings.registry_url)
    runs = Runs(settings.data_dir)
    schedule = Schedule(registry, settings, runs, Arrivals(settings.data_dir / "lake"))
    training = TrainingServicer(supervisor := Supervisor(settings, runs, schedule))
    async with open_rollouts(settings, registry) as rollouts, supervising(supervisor) as following:

        def add(server: grpc.aio.Server) -> None:
            trainer_pb2_grpc.add_TrainingServicer_to_server(training, server)
            trainer_pb2_grpc.add_RolloutsServicer_to_server(rollouts, server)

        def drain() -> None:
            supervisor.drain()
            rollouts.drain()

        yield Door(add=add, services=("cascade.Training", "cascade.Rollouts"), failed=following, draining=drain)


SERVICE = Service("trainer", TrainerSettings, build)
