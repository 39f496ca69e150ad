"""A gateway over peers on real gRPC and a real Kafka listener, called through its ASGI door."""

from __future__ import annotations

import gc
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.gateway.app import build
from services.gateway.settings import GatewaySettings
from tests.gateway.peers import Peers, running_peers
from tests.kafka_fixture import kafka_url

__all__ = ["kafka_url"]

READ, WRITE = "read-key", "write-key"

Opened = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys a test can write down."""
    monkeypatch.setenv("CASCADE_READ_KEY", READ)
    monkeypatch.setenv("CASCADE_WRITE_KEY", WRITE)


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    """Peers that work until a test breaks them."""
    async with running_peers() as running:
        yield running


@pytest.fixture
def settings_of(peers: Peers, kafka_url: str, tmp_path: Path) -> Callable[..., GatewaySettings]:
    """Settings for these peers; stages have a second, so that a busy machine degrades nothing by itself."""

    def make(**overrides: Any) -> GatewaySettings:
        fields: dict[str, Any] = {
            "data_dir": tmp_path,
            "port": 0,
            "kafka_url": kafka_url,
            "deadline_ms": 2000,
            "features_ms": 1000,
            "retrieval_ms": 1000,
            "ranking_ms": 1000,
            "reranking_ms": 1000,
            "catalog_deadline_s": 10,
            **{f"{name}_url": url for name, url in peers.urls.items()},
        }
        return GatewaySettings(**(fields | overrides))

    return make


@pytest.fixture
def opened(settings_of: Callable[..., GatewaySettings]) -> Opened:
    """`async with opened(challenger_share=1) as client`: a gateway with other settings."""

    @asynccontextmanager
    async def open_client(**overrides: Any) -> AsyncIterator[httpx.AsyncClient]:
        async with build(settings_of(**overrides)) as app:
            transport = httpx.ASGITransport(app)
            headers = {"X-API-Key": WRITE}
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
                yield client

    return open_client


@pytest.fixture
async def client(opened: Opened) -> AsyncIterator[httpx.AsyncClient]:
    """A caller with the write key."""
    async with opened() as calling:
        yield calling


@pytest.fixture(scope="module")
def leftovers() -> Iterator[None]:
    """kafka-python leaves the sockets of refused connections to the collector; let it have them here, in silence."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
