"""The door on a port, and the process behind `python -m services.gateway`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from services.gateway.server import serving
from services.gateway.settings import GatewaySettings
from services.runtime.errors import SettingsError, Unavailable
from tests.gateway.conftest import READ
from tests.gateway.peers import Peers, until

Settings = Callable[..., GatewaySettings]


async def test_answers_over_http(settings_of: Settings) -> None:
    async with serving(settings_of()) as running, httpx.AsyncClient(base_url=f"http://{running.address}") as client:
        assert (await client.get("/health/live")).json() == {"status": "alive"}
        response = await client.get("/v1/users/1/recommendations", headers={"Authorization": f"Bearer {READ}"})
        assert len(response.json()["items"]) == 10
        for address in ("/v1/users/" + "x" * 10_000, "/v1/items/a%00b"):
            assert (await client.get(address, headers={"X-API-Key": READ})).status_code == 422
        body = b"x" * 2_000_000
        response = await client.post("/v1/recommendations", content=body, headers={"X-API-Key": READ})
        assert response.status_code == 413


async def test_request_under_way_is_answered_while_draining(settings_of: Settings, peers: Peers) -> None:
    peers.ranker.switches.slow = True

    async def ranker_was_asked() -> bool:
        return bool(peers.ranker.switches.requests)

    async with httpx.AsyncClient(headers={"X-API-Key": READ}) as client:
        async with serving(settings_of()) as running:
            url = f"http://{running.address}/v1/users/1/recommendations"
            asked = asyncio.create_task(client.get(url))
            await until(ranker_was_asked)
        assert (await asked).json()["degraded"][0]["stage"] == "ranking"
        with pytest.raises(httpx.ConnectError):
            await client.get(url)


async def test_port_in_use_is_a_sentence(settings_of: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"Port {port}.*CASCADE_GATEWAY_PORT"):
            async with serving(settings_of(port=port)):
                pass


async def test_start_without_features_is_a_sentence(settings_of: Settings, peers: Peers) -> None:
    await peers.down("features")
    with pytest.raises(Unavailable, match="no catalog"):
        async with serving(settings_of(catalog_deadline_s=0.2)):
            pass


async def test_process_serves_until_it_is_told_to_stop(peers: Peers, kafka_url: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "CASCADE_DATA_DIR": str(tmp_path),
        "CASCADE_KAFKA_URL": kafka_url,
        "CASCADE_GATEWAY_PORT": str(port),
        **{f"CASCADE_GATEWAY_{name.upper()}_URL": url for name, url in peers.urls.items()},
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.gateway", env=environment, stdout=asyncio.subprocess.PIPE
    )
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:

        async def ready() -> bool:
            try:
                return (await client.get("/health/ready")).status_code == 200
            except httpx.ConnectError:
                return False

        await until(ready, seconds=30)
    process.send_signal(signal.SIGTERM)
    output, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    assert b'"draining"' in output
    assert b"Traceback" not in output


async def test_process_with_a_wrong_setting_exits_with_its_name(tmp_path: Path) -> None:
    environment = {**os.environ, "CASCADE_DATA_DIR": str(tmp_path), "CASCADE_GATEWAY_CANDIDATES": "many"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.gateway", env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert b"CASCADE_GATEWAY_CANDIDATES" in errors
    assert b"Traceback" not in errors
