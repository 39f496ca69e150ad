"""Redis is a store, not a cache: what was folded into it survives its restart and its death."""

from __future__ import annotations

import httpx
import pytest

from loadtests.compose import Compose
from tests.e2e.compose import needs_containers
from tests.e2e.steps import accepted, event, history, recommended, shown, until

pytestmark = [pytest.mark.e2e, needs_containers]

START_S = 120.0


@pytest.mark.parametrize("how", ["restart", "kill"])
def test_features_are_back_without_training(
    client: httpx.Client, compose: Compose, known_user: str, newcomer: str, how: str
) -> None:
    item = shown(recommended(client, newcomer))[0]
    accepted(client, event(newcomer, item, value=5.0))
    until(lambda: history(client, newcomer) == [item], "the event in the newcomer's history")
    before = client.get(f"/v1/users/{known_user}").raise_for_status().json()
    trainer = compose.state("trainer")

    redis = compose.state("redis")
    if how == "kill":
        compose.kill("redis")
    else:
        compose.run("restart", "redis", deadline_s=START_S)
    compose.wait_restarted(redis, START_S)

    until(lambda: history(client, newcomer) == [item], "the newcomer's history after it")
    after = client.get(f"/v1/users/{known_user}").raise_for_status().json()
    assert {field: after[field] for field in ("profile", "seen", "hidden", "history")} == {
        field: before[field] for field in ("profile", "seen", "hidden", "history")
    }
    until(lambda: recommended(client, known_user)["served_by"] == "fresh", "a fresh answer")
    assert compose.state("trainer").started_at == trainer.started_at
