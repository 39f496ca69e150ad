"""Models by REST, over the trainer's real service of rollouts and a real registry."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from services.runtime.registry import CHALLENGER, CHAMPION
from services.trainer.rollout.release import start_release
from tests.gateway.conftest import READ, Opened
from tests.gateway.peers import Peers, until
from tests.trainer.rollout.conftest import first_versions
from tests.trainer.rollout.test_servicer import QUICK, running_trainer
from tests.trainer.rollout.versions import Versions

__all__ = ["first_versions"]


@pytest.fixture
def versions(first_versions: Path, tmp_path: Path) -> Versions:
    """Every model has version 1 as its champion."""
    shutil.copytree(first_versions / "data", tmp_path / "trainer" / "data")
    return Versions(tmp_path / "trainer")


@pytest.fixture
def with_trainer(opened: Opened, versions: Versions) -> Opened:
    """A gateway beside a trainer that reads no metrics."""

    @asynccontextmanager
    async def open_client() -> AsyncIterator[httpx.AsyncClient]:
        async with (
            running_trainer(versions, "", QUICK) as address,
            opened(trainer_url=f"grpc://{address}") as client,
        ):
            yield client

    return open_client


async def test_a_release_is_shown_promoted_and_rolled_back_by_hand(with_trainer: Opened, versions: Versions) -> None:
    release = {"ranker": versions.add("ranker")}
    await asyncio.to_thread(start_release, versions.registry, release)
    async with with_trainer() as client:

        async def begun() -> bool:
            return bool((await client.get("/v1/rollout")).json().get("stage") == "shadow")

        await until(begun)
        told = (await client.get("/v1/rollout")).json()
        assert told["challengers"] == release
        assert told["champions"]["ranker"] == "1"
        assert [one["name"] for one in told["guardrails"]] == ["errors", "latency", "agreement"]
        promoted = await client.post("/v1/models/ranker:promote")
        assert (promoted.status_code, promoted.json()) == (200, {"champions": {"ranker": "2"}})
        told = (await client.get("/v1/rollout")).json()
        assert (told["stage"], told["champions"]["ranker"]) == ("champion", "2")
        returned = await client.post("/v1/models/ranker:rollback")
        assert (returned.status_code, returned.json()) == (200, {"champions": {"ranker": "1"}})
        told = (await client.get("/v1/rollout")).json()
        assert (told["stage"], told["reason"]) == ("rolled_back", "Rolled back by hand.")
    assert versions.aliases("ranker") == {CHAMPION: "1", "previous": "2"}


async def test_a_version_is_promoted_by_its_number(with_trainer: Opened, versions: Versions) -> None:
    second = versions.add("ranker")
    async with with_trainer() as client:
        promoted = await client.post("/v1/models/ranker:promote", json={"version": second})
        assert promoted.json() == {"champions": {"ranker": second}}


@pytest.mark.parametrize(
    ("path", "body", "status", "sentence"),
    [
        ("ranker:promote", None, 409, "There is no challenger of 'ranker'"),
        ("ranker:promote", {"version": "9"}, 404, "no '9' of 'ranker'"),
        ("ranker:promote", {"version": "newest"}, 422, "version: "),
        ("ranker:promote", {"versoin": "2"}, 422, "versoin: there is no such field"),
        ("llm:promote", None, 404, "There is no model 'llm'; there are ranker"),
        ("llm:rollback", None, 404, "There is no model 'llm'; there are ranker"),
        ("two_tower:rollback", None, 409, "'two_tower' has no champion before this one"),
    ],
)
async def test_what_cannot_be_done_is_said_in_a_sentence(
    with_trainer: Opened, path: str, body: dict[str, str] | None, status: int, sentence: str
) -> None:
    async with with_trainer() as client:
        answer = await client.post(f"/v1/models/{path}", json=body)
        assert answer.status_code == status
        assert sentence in answer.json()["detail"]


async def test_changes_need_the_write_key_and_a_trainer(client: httpx.AsyncClient, peers: Peers) -> None:
    for path in ("/v1/models/ranker:promote", "/v1/models/ranker:rollback"):
        assert (await client.post(path, headers={"X-API-Key": READ})).status_code == 403
    await peers.down("trainer")
    for method, path in (("POST", "/v1/models/ranker:rollback"), ("GET", "/v1/rollout")):
        answer = await client.request(method, path)
        assert answer.status_code == 503
        assert "trainer does not answer" in answer.json()["detail"]


async def test_models_of_both_services_are_listed_and_one_that_is_away_is_named(
    client: httpx.AsyncClient, peers: Peers
) -> None:
    listed = (await client.get("/v1/models")).json()
    assert [(model["name"], model["version"]) for model in listed["models"]] == [("two_tower", "7"), ("ranker", "12")]
    await peers.down("ranker")
    listed = (await client.get("/v1/models")).json()
    assert [away["stage"] for away in listed["degraded"]] == ["ranker"]
    assert CHALLENGER not in listed["models"][0]["aliases"]
