"""The door every service shares, opened with a small servicer over real gRPC."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from services.pb import reranker_pb2, reranker_pb2_grpc
from services.runtime.client import Budget, call, open_channel
from services.runtime.errors import DeadlineExceeded, InvalidArgument, NotFound, SettingsError, Unavailable
from services.runtime.logs import REQUEST_ID
from services.runtime.server import Door, Service, serving
from services.runtime.settings import ServiceSettings, read_settings, service_config


class SmallSettings(ServiceSettings):
    model_config = service_config("small")


class SmallService(reranker_pb2_grpc.RerankerServicer):
    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.release = asyncio.Event()

    async def Rerank(self, request: reranker_pb2.RerankRequest, context: Any) -> reranker_pb2.RerankResponse:
        if request.n == 404:
            raise NotFound("There is no 404.")
        if request.n == 400:
            raise InvalidArgument("n must not be 400.", field="n")
        if request.n == 500:
            raise RuntimeError("secret detail")
        if request.n == 1:
            self.started.set()
            await self.release.wait()
        return reranker_pb2.RerankResponse(ids=[request.n], slots=[REQUEST_ID.get()])


@asynccontextmanager
async def small(
    servicer: SmallService, **settings: Any
) -> AsyncIterator[tuple[str, reranker_pb2_grpc.RerankerAsyncStub]]:
    @asynccontextmanager
    async def build(_settings: SmallSettings) -> AsyncIterator[Door]:
        yield Door(
            lambda server: reranker_pb2_grpc.add_RerankerServicer_to_server(servicer, server), ("cascade.Reranker",)
        )

    async with (
        serving(Service("small", SmallSettings, build), SmallSettings(**settings)) as running,
        open_channel(f"grpc://{running.address}") as channel,
    ):
        yield running.address, reranker_pb2_grpc.RerankerStub(channel)


async def get(stub: reranker_pb2_grpc.RerankerAsyncStub, n: int, timeout: float = 5.0) -> reranker_pb2.RerankResponse:
    return await call(stub.Rerank, reranker_pb2.RerankRequest(n=n), timeout=timeout, peer="small")


async def test_errors_of_the_tree_cross_the_wire_with_their_sentence() -> None:
    async with small(SmallService()) as (_, stub):
        with pytest.raises(NotFound, match="There is no 404"):
            await get(stub, 404)
        with pytest.raises(InvalidArgument, match="must not be 400"):
            await get(stub, 400)


async def test_an_unexpected_error_tells_its_kind_and_keeps_its_details() -> None:
    async with small(SmallService()) as (_, stub):
        with pytest.raises(Exception, match="RuntimeError") as caught:
            await get(stub, 500)
        assert "secret" not in str(caught.value)


async def test_a_call_ends_at_its_deadline() -> None:
    servicer = SmallService()
    async with small(servicer, drain_seconds=0) as (_, stub):
        with pytest.raises(DeadlineExceeded):
            await get(stub, 1, timeout=0.05)


async def test_a_dead_peer_is_unavailable_and_named() -> None:
    async with small(SmallService()) as (_, stub):
        pass
    with pytest.raises(Unavailable, match="small does not answer"):
        async with open_channel("grpc://127.0.0.1:1") as channel:
            await get(reranker_pb2_grpc.RerankerStub(channel), 2)


async def test_the_request_id_travels_with_the_call() -> None:
    async with small(SmallService()) as (_, stub):
        REQUEST_ID.set("abc-123")
        answer = await get(stub, 2)
        assert list(answer.slots) == ["abc-123"]


async def test_health_says_serving_and_reflection_lists_the_service() -> None:
    async with small(SmallService()) as (address, _), open_channel(f"grpc://{address}") as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        answer = await check(health_pb2.HealthCheckRequest(service="cascade.Reranker"))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        reflect = channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        async for listed in reflect(iter([reflection_pb2.ServerReflectionRequest(list_services="")])):
            assert "cascade.Reranker" in [service.name for service in listed.list_services_response.service]


async def test_a_running_call_is_finished_before_the_server_goes() -> None:
    servicer = SmallService()
    waiting: asyncio.Task[reranker_pb2.RerankResponse]
    async with small(servicer) as (address, _):
        channel = open_channel(f"grpc://{address}")
        waiting = asyncio.create_task(get(reranker_pb2_grpc.RerankerStub(channel), 1))
        await servicer.started.wait()
        asyncio.get_running_loop().call_later(0.05, servicer.release.set)
    assert list((await waiting).ids) == [1]
    await channel.close()


async def test_a_port_in_use_is_one_sentence_that_names_the_variable() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        with pytest.raises(SettingsError, match="in use.*CASCADE_SMALL_PORT"):
            async with small(SmallService(), port=holder.getsockname()[1]):
                pass


def test_a_budget_gives_the_cap_or_what_is_left() -> None:
    assert Budget.of(10_000).timeout(cap_ms=50) == pytest.approx(0.05)
    assert 0 < Budget.of(100).timeout(cap_ms=5000) <= 0.1
    with pytest.raises(DeadlineExceeded):
        Budget.of(-1).timeout(cap_ms=10)


def test_wrong_settings_name_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASCADE_SMALL_PORT", "http")
    monkeypatch.setenv("CASCADE_LOG_FORMAT", "xml")
    with pytest.raises(SettingsError, match="CASCADE_SMALL_PORT") as caught:
        read_settings(SmallSettings)
    assert "CASCADE_LOG_FORMAT" in str(caught.value)


PROGRAM = """
from contextlib import asynccontextmanager
from services.runtime.server import Door, Service, run
from services.runtime.settings import ServiceSettings

@asynccontextmanager
async def build(settings):
    yield Door(lambda server: None, ())

run(Service("small", ServiceSettings, build))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_without_a_traceback(number: signal.Signals) -> None:
    root = Path(__file__).parents[2]
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=root, env=os.environ,
    )  # fmt: skip
    assert child.stdout is not None
    assert '"ready"' in child.stdout.readline()
    child.send_signal(number)
    rest, _ = child.communicate(timeout=20)
    assert child.returncode == 0
    assert "Traceback" not in rest
