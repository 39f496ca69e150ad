"""Every container may be restarted or killed while people ask; only the gateway's own absence is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from loadtests.client import connected_by_key
from loadtests.compose import Compose, ContainerState
from loadtests.drills import Finding, Load, Patience, drill, steady
from services.gateway.keys import ApiKeys
from tests.e2e.compose import each_of, needs_containers

pytestmark = [pytest.mark.e2e, needs_containers]

PATIENCE = Patience(calm=2.0, recovery=180.0, poll=0.3)
PAUSE_S = 0.2
"""Between two calls of one client: answers must be late of what is restarted, not of too many questions at once."""
SERVICES = each_of(
    [
        "gateway", "features", "retrieval", "ranker", "reranker", "ingest", "trainer", "redis", "qdrant", "kafka",
        "mlflow", "llm",
    ]
)  # fmt: skip
USERS = [str(number) for number in range(1, 201)]


@pytest.mark.parametrize("service", SERVICES)
def test_after_a_restart_answers_are_fresh_again_and_none_failed_meanwhile(
    compose: Compose, base_url: str, keys: ApiKeys, service: str
) -> None:
    async def restart() -> None:
        await asyncio.to_thread(compose.run, "restart", service, deadline_s=120.0)

    check(service, finding_of(broken(compose, base_url, keys, service, restart)))


@pytest.mark.parametrize("service", SERVICES)
def test_after_a_kill_the_container_comes_back_by_itself(
    compose: Compose, base_url: str, keys: ApiKeys, service: str
) -> None:
    async def kill() -> None:
        await asyncio.to_thread(compose.kill, service)

    check(service, finding_of(broken(compose, base_url, keys, service, kill)))


def finding_of(drilled: Coroutine[Any, Any, Finding]) -> Finding:
    # In a thread: the browser of the page's tests leaves an event loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, drilled).result()


async def broken(
    compose: Compose, base_url: str, keys: ApiKeys, service: str, break_it: Callable[[], Awaitable[None]]
) -> Finding:
    """What steady clients saw while the service was broken and came back."""
    before: ContainerState = await asyncio.to_thread(compose.state, service)
    assert before.healthy, f"{service} was not healthy to begin with"

    async def is_back() -> bool:
        return await asyncio.to_thread(compose.restarted, before)

    async with (
        connected_by_key(base_url, keys.write) as client,
        steady(Load(client, USERS, await client.popular(), PAUSE_S)) as load,
    ):
        return await drill(load, service, break_it, is_back, PATIENCE)


def check(service: str, finding: Finding) -> None:
    assert finding.seconds < PATIENCE.recovery, f"{service} was not well again: {finding.tally}"
    assert finding.tally.served_by["fresh"] > 0
    if service != "gateway":
        assert finding.tally.failed == 0, f"while {service} was away: {finding.tally.statuses}"
