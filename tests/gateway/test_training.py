"""Training over REST: told, started, followed; and a gateway that lives while the trainer is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import orjson
import pytest

from services.gateway.routes import training
from services.gateway.trainings import Trainings
from services.pb import trainer_pb2, trainer_pb2_grpc
from services.runtime.client import open_channel
from services.runtime.errors import CascadeError
from tests.gateway.conftest import READ, Opened

SECONDS = 20.0
RUN = trainer_pb2.Run(
    run_id="20260501-120000-9f2c1a", kind="continuous", trigger="request", state="running", stage="ranker",
    started_us=1_777_636_800_000_000, versions={"ranker": "13"},
)  # fmt: skip


class Trainer(trainer_pb2_grpc.TrainingServicer):
    """Tells what it is told to."""

    def __init__(self) -> None:
        self.busy = False
        self.stages = ["examples", "ranker"]

    async def Start(self, request: trainer_pb2.StartRun, context: Any) -> trainer_pb2.Run:
        if self.busy:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "A run goes on already.")
        return trainer_pb2.Run(run_id=RUN.run_id, kind=request.kind, state="running")

    async def GetStatus(self, request: trainer_pb2.StatusRequest, context: Any) -> trainer_pb2.TrainingStatus:
        return trainer_pb2.TrainingStatus(current=RUN, new_examples=7, examples_wanted=5000)

    async def Watch(
        self, request: trainer_pb2.StatusRequest, context: Any
    ) -> AsyncIterator[trainer_pb2.TrainingStatus]:
        for stage in self.stages:
            yield trainer_pb2.TrainingStatus(current=trainer_pb2.Run(stage=stage))
        await asyncio.Event().wait()


class Running:
    """A trainer that can go away and come back on its port."""

    def __init__(self) -> None:
        self.trainer, self.port = Trainer(), 0
        self._server: grpc.aio.Server | None = None

    @property
    def url(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = grpc.aio.server()
        trainer_pb2_grpc.add_TrainingServicer_to_server(self.trainer, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    trainer = Running()
    await trainer.start()
    yield trainer
    await trainer.stop()


@pytest.fixture
async def client(opened: Opened, running: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with opened(trainer_url=running.url) as calling:
        yield calling


async def test_the_run_that_goes_on_is_told(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/v1/training", headers={"X-API-Key": READ})).json()
    assert answer["current"]["stage"] == "ranker"
    assert answer["current"]["started_at"] == "2026-05-01T12:00:00.000+00:00"
    assert answer["current"]["ended_at"] is None
    assert answer["current"]["versions"] == {"ranker": "13"}
    assert (answer["recent"], answer["next_at"], answer["new_examples"]) == ([], None, 7)


@pytest.mark.parametrize(("body", "kind"), [(None, "continuous"), ({}, "continuous"), ({"kind": "full"}, "full")])
async def test_a_run_is_started(client: httpx.AsyncClient, body: dict[str, str] | None, kind: str) -> None:
    answer = await client.post("/v1/training", json=body)
    assert answer.status_code == 202
    assert (answer.json()["run_id"], answer.json()["kind"]) == (RUN.run_id, kind)


async def test_starting_needs_the_write_key_and_a_kind_that_is_there(client: httpx.AsyncClient) -> None:
    assert (await client.post("/v1/training", headers={"X-API-Key": READ})).status_code == 403
    answer = await client.post("/v1/training", json={"kind": "partial"})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "kind"


async def test_a_second_run_is_a_conflict(client: httpx.AsyncClient, running: Running) -> None:
    running.trainer.busy = True
    answer = await client.post("/v1/training")
    assert (answer.status_code, answer.json()["detail"]) == (409, "A run goes on already.")


async def test_a_gateway_lives_while_the_trainer_is_away(client: httpx.AsyncClient, running: Running) -> None:
    await running.stop()
    for answer in (
        await client.get("/v1/training"), await client.post("/v1/training"), await client.get("/v1/training/progress"),
    ):  # fmt: skip
        assert answer.status_code == 503
        assert "trainer does not answer" in answer.json()["detail"]
    answer = await client.post("/v1/recommendations", json={"user_id": "7", "n": 3})
    assert (answer.status_code, len(answer.json()["items"])) == (200, 3)


async def test_progress_is_told_as_it_comes_and_a_trainer_that_went_away_is_found_again(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.trainings.AGAIN_SECONDS", 0.01)
    async with asyncio.timeout(SECONDS), open_channel(running.url) as channel:
        told = Trainings(channel, SECONDS).watch()
        stages = [(await anext(told)) for _ in range(2)]
        assert [status["current"]["stage"] for status in stages if isinstance(status, dict)] == ["examples", "ranker"]
        await running.stop()
        assert isinstance(await anext(told), CascadeError)
        running.trainer.stages = ["publish"]
        await running.start()
        again = await anext(told)
        assert isinstance(again, dict)
        assert again["current"]["stage"] == "publish"
        await told.aclose()


async def test_progress_is_server_sent_events_that_say_they_are_alive(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "BEAT_SECONDS", 0.05)
    async with asyncio.timeout(SECONDS), open_channel(running.url) as channel:
        events = training._events(Trainings(channel, SECONDS))
        first, second, beat = [await anext(events) for _ in range(3)]
    head, data = first.decode().split("\n", 1)
    assert head == "event: status"
    assert orjson.loads(data.removeprefix("data: "))["current"]["stage"] == "examples"
    assert b'"stage":"ranker"' in second
    assert beat == b": still here\n\n"
