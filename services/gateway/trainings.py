"""Runs of the trainer: how far they are, and how one is started by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any

import grpc

from services.pb import trainer_pb2, trainer_pb2_grpc
from services.runtime.client import call
from services.runtime.errors import CascadeError, from_rpc

PEER = "trainer"
AGAIN_SECONDS = 2.0
"""How long a watcher waits before it asks a trainer that went away again."""


class Trainings:
    """The trainer's Training rpcs. Failures are errors of the tree, naming the trainer.

    await Trainings(channel, timeout=2.0).start("continuous")      # {"run_id": ..., "state": "running", ...}
    """

    def __init__(self, channel: grpc.aio.Channel, timeout: float) -> None:
        """A call may take `timeout` seconds."""
        self._stub = trainer_pb2_grpc.TrainingStub(channel)
        self._timeout = timeout

    async def status(self) -> dict[str, Any]:
        """The run that goes on, those before it, and what comes next, as REST shows them."""
        return status_told(
            await call(self._stub.GetStatus, trainer_pb2.StatusRequest(), timeout=self._timeout, peer=PEER)
        )

    async def start(self, kind: str) -> dict[str, Any]:
        """Starts a run. Conflict while another one goes on."""
        return run_told(await call(self._stub.Start, trainer_pb2.StartRun(kind=kind), timeout=self._timeout, peer=PEER))

    async def watch(self) -> AsyncGenerator[dict[str, Any] | CascadeError]:
        """The status at once and after every change, for ever. While the trainer is away its error, once."""
        away = False
        while True:
            try:
                async for status in self._stub.Watch(trainer_pb2.StatusRequest(), wait_for_ready=False):
                    away = False
                    yield status_told(status)
            except grpc.RpcError as error:
                if not away:
                    yield from_rpc(error, PEER)
                away = True
            await asyncio.sleep(AGAIN_SECONDS)


def status_told(status: trainer_pb2.TrainingStatus) -> dict[str, Any]:
    """As REST shows it."""
    return {
        "current": run_told(status.current) if status.HasField("current") else None,
        "recent": [run_told(run) for run in status.recent],
        "next_at": _moment(status.next_us),
        "new_examples": status.new_examples,
        "examples_wanted": status.examples_wanted,
    }


def run_told(run: trainer_pb2.Run) -> dict[str, Any]:
    """As REST shows it."""
    return {
        "run_id": run.run_id,
        "kind": run.kind,
        "trigger": run.trigger,
        "state": run.state,
        "stage": run.stage,
        "done": run.done,
        "planned": run.planned,
        "started_at": _moment(run.started_us),
        "ended_at": _moment(run.ended_us),
        "reason": run.reason,
        "dataset": run.dataset,
        "examples": run.examples,
        "versions": dict(run.versions),
    }


def _moment(us: int) -> str | None:
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="milliseconds") if us else None
