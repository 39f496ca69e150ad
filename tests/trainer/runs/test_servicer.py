"""The rpcs of Training over real gRPC: started, refused, watched to the end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import grpc
import pytest

from services.pb import trainer_pb2, trainer_pb2_grpc
from services.runtime.client import call, open_channel
from services.runtime.errors import Conflict, InvalidArgument
from services.runtime.registry import Registry
from services.runtime.server import Door, Service, serving
from services.trainer.runs.arrivals import Arrivals
from services.trainer.runs.folder import Runs
from services.trainer.runs.record import Run
from services.trainer.runs.servicer import TrainingServicer
from services.trainer.runs.supervisor import Supervisor, supervising
from services.trainer.schedule import Due, Schedule
from services.trainer.settings import TrainerSettings

SECONDS = 20.0
STAGES = """
import sys, time
from pathlib import Path
from services.trainer.runs.folder import Runs
from services.trainer.runs.record import Run
data_dir, run_id = Path(sys.argv[1]), sys.argv[2]
runs = Runs(data_dir)
with runs.only("continuous run"):
    run = Run.begin("continuous", "request", run_id)
    for stage in ("examples", "ranker", "publish"):
        run.stage, run.done, run.planned = stage, 1, 2
        runs.write(run)
        while not (data_dir / f"after {stage}").exists():
            time.sleep(0.01)
    run.versions = {"ranker": "2"}
    run.end("published")
    runs.write(run)
"""
"""A run that goes on to the next stage when the test says so."""


class Never(Schedule):
    """Nothing is due."""

    def due(self, tried_at: datetime, not_before: datetime) -> Due:
        return Due(None, "schedule", not_before + timedelta(minutes=5), 7)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry.open(tmp_path_factory.mktemp("registry"))


@pytest.fixture
async def stub(registry: Registry, tmp_path: Path) -> AsyncIterator[trainer_pb2_grpc.TrainingAsyncStub]:
    settings = TrainerSettings(data_dir=tmp_path, port=0, niceness=0)
    runs = Runs(tmp_path)
    schedule = Never(registry, settings, runs, Arrivals(tmp_path / "lake"))

    def command(_: TrainerSettings, run: Run) -> list[str]:
        return [sys.executable, "-c", STAGES, str(tmp_path), run.run_id]

    supervisor = Supervisor(settings, runs, schedule, command)

    @asynccontextmanager
    async def build(_: TrainerSettings) -> AsyncIterator[Door]:
        async with supervising(supervisor) as following:

            def add(server: grpc.aio.Server) -> None:
                trainer_pb2_grpc.add_TrainingServicer_to_server(TrainingServicer(supervisor), server)

            yield Door(add, ("cascade.Training",), following, supervisor.drain)

    async with (
        serving(Service("trainer", TrainerSettings, build), settings) as running,
        open_channel(f"grpc://{running.address}") as channel,
    ):
        yield trainer_pb2_grpc.TrainingStub(channel)


async def start(stub: trainer_pb2_grpc.TrainingAsyncStub, kind: str = "") -> trainer_pb2.Run:
    return await call(stub.Start, trainer_pb2.StartRun(kind=kind), timeout=SECONDS, peer="trainer")


async def test_a_run_is_watched_from_its_start_to_its_versions(
    stub: trainer_pb2_grpc.TrainingAsyncStub, tmp_path: Path
) -> None:
    started = None
    seen: list[str] = []
    async with asyncio.timeout(SECONDS):
        async for status in stub.Watch(trainer_pb2.StatusRequest()):
            if started is None:
                started = await start(stub)
            elif status.recent:
                break
            elif status.current.run_id == started.run_id and status.current.stage not in ("", *seen):
                seen.append(status.current.stage)
                (tmp_path / f"after {seen[-1]}").touch()
    assert started is not None
    assert seen == ["examples", "ranker", "publish"]
    (ended,) = status.recent
    assert (ended.run_id, ended.state, dict(ended.versions)) == (started.run_id, "published", {"ranker": "2"})
    assert (status.new_examples, status.examples_wanted) == (7, 5000)
    assert status.next_us > 0


async def test_a_second_run_is_refused_while_one_goes_on(stub: trainer_pb2_grpc.TrainingAsyncStub) -> None:
    first = await start(stub)
    with pytest.raises(Conflict, match="goes on already"):
        await start(stub, "full")
    assert first.kind == "continuous"


async def test_a_kind_that_is_not_there_is_named(stub: trainer_pb2_grpc.TrainingAsyncStub) -> None:
    with pytest.raises(InvalidArgument, match="kind must be continuous or full, not 'partial'"):
        await start(stub, "partial")
