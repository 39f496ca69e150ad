"""A release is tried on its share of users, costs nobody an answer, and is measured beside the champion."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from services.gateway.identifiers import share_of
from services.gateway.pipeline import Pipeline
from services.runtime.errors import InvalidArgument, NotFound, Unavailable
from services.runtime.metrics import ARM_ANSWERS, ARM_SECONDS, EVENTS, SHADOW_DROPPED, SHADOW_OVERLAP
from tests.gateway.conftest import Opened
from tests.gateway.peers import Peers, until

QUARTET = ("two_tower", "co_visitation", "popularity", "ease")
EVERYTHING = {"ranker": "13", **dict.fromkeys(QUARTET, "8")}
BEST = [858, 318, 296]
"""By the champion of the ranker."""


@pytest.fixture(autouse=True)
def fresh_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    # Feast, which other tests import, sets it; the library then warns of what `clear` cannot reach.
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    ARM_ANSWERS.clear()
    ARM_SECONDS.clear()


def answers() -> dict[tuple[str, str], float]:
    """(arm, outcome) -> requests."""
    samples = (sample for family in ARM_ANSWERS.collect() for sample in family.samples)
    return {(sample.labels["arm"], sample.labels["outcome"]): sample.value for sample in samples}


def measured() -> dict[tuple[str, str], float]:
    """(arm, stage) -> times it was measured."""
    samples = (sample for family in ARM_SECONDS.collect() for sample in family.samples)
    return {
        (sample.labels["arm"], sample.labels["stage"]): sample.value
        for sample in samples
        if sample.name.endswith("_count")
    }


async def asked(client: httpx.AsyncClient, user: int = 1) -> dict[str, Any]:
    response = await client.post("/v1/recommendations", json={"user_id": str(user), "n": 3})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer | {"variants": {entry["key"]: entry["variant"] for entry in answer["experiments"]}}


def shown(answer: dict[str, Any]) -> list[int]:
    return [int(card["item_id"]) for card in answer["items"]]


@pytest.fixture
def trying(opened: Opened, peers: Peers) -> Callable[..., Any]:
    """`async with trying(models, share=1) as client`: a gateway that has heard of this rollout."""

    @asynccontextmanager
    async def enter(
        models: dict[str, str], share: float = 1.0, shadow: bool = False, **settings: Any
    ) -> AsyncIterator[httpx.AsyncClient]:
        stage = "shadow" if shadow else "canary"
        async with opened(**settings) as client:
            await peers.trainer.say(rollout_id="r-1", stage=stage, share=share, shadow=shadow, challengers=models)

            async def heard() -> bool:
                return inside(client)._arms.release.models == frozenset(models)

            await until(heard)
            yield client

    return enter


def inside(client: httpx.AsyncClient) -> Pipeline:
    """The pipeline behind the client's door."""
    pipeline: Pipeline = client._transport.app.state.gateway.pipeline  # type: ignore[attr-defined]  # an ASGI transport
    return pipeline


async def test_the_share_decides_and_a_user_is_in_one_arm_with_every_model(
    trying: Callable[..., Any], peers: Peers
) -> None:
    async with trying(EVERYTHING, share=0.5) as client:
        for user in range(1, 13):
            answer = await asked(client, user)
            variant = "challenger" if share_of("release", user) < 0.5 else "champion"
            assert answer["variants"] == dict.fromkeys(EVERYTHING, variant)
            versions = {"challenger": ("8", "13"), "champion": ("7", "12")}[variant]
            assert (answer["model_versions"]["two_tower"], answer["model_versions"]["ranker"]) == versions
            assert peers.retrieval.switches.requests[-1].model == variant
    assert answers() == {
        (variant, "ok"): sum((share_of("release", user) < 0.5) == chosen for user in range(1, 13))
        for variant, chosen in (("challenger", True), ("champion", False))
    }


@pytest.mark.parametrize(("share", "variant"), [(0.0, "champion"), (1.0, "challenger")])
async def test_nobody_and_everybody(trying: Callable[..., Any], share: float, variant: str) -> None:
    async with trying(EVERYTHING, share=share) as client:
        for user in range(1, 6):
            assert set((await asked(client, user))["variants"].values()) == {variant}
        visitor = (await client.post("/v1/recommendations", json={})).json()
    assert {entry["variant"] for entry in visitor["experiments"]} == {"champion"}


async def test_a_model_outside_the_release_stays_the_champions_and_is_not_measured(
    trying: Callable[..., Any], peers: Peers
) -> None:
    async with trying({"ranker": "13"}) as client:
        answer = await asked(client)
        ranked = (await client.post("/v1/rank", json={"user_id": "1", "candidates": ["1", "2"]})).json()
    assert answer["variants"] == {"ranker": "challenger"}
    assert ranked["experiments"] == answer["experiments"]
    assert {request.model for request in peers.retrieval.switches.requests} == {"champion"}
    assert measured() == {("challenger", "ranking"): 2}


FAILURES: dict[str, Callable[[Peers], None]] = {
    "unavailable": lambda peers: setattr(peers.ranker, "challenger", Unavailable("Broken.")),
    "refused": lambda peers: setattr(peers.ranker, "challenger", InvalidArgument("Broken.")),
    "late": lambda peers: setattr(peers.ranker, "slow_challenger", True),
    "all NaN": lambda peers: peers.ranker.strange.update(challenger=float("nan")),
    "infinite": lambda peers: peers.ranker.strange.update(challenger=float("inf")),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_ranker_that_fails_its_users_leaves_them_the_champions_answer(
    trying: Callable[..., Any], peers: Peers, failure: str
) -> None:
    async with trying(EVERYTHING, ranking_ms=200) as client:
        FAILURES[failure](peers)
        answer = await asked(client)
    assert (answer["served_by"], answer["degraded"], shown(answer)) == ("fresh", [], BEST)
    assert answer["variants"] == dict.fromkeys(QUARTET, "challenger") | {"ranker": "champion"}
    assert answer["model_versions"]["ranker"] == "12"
    assert answers() == {("challenger", "failed"): 1}
    assert measured() == {("challenger", "retrieval"): 1, ("challenger", "ranking"): 1}


async def test_a_challenger_lost_in_retrieval_leaves_the_whole_request_to_the_champions(
    trying: Callable[..., Any], peers: Peers
) -> None:
    async with trying(EVERYTHING) as client:
        peers.retrieval.challenger = Unavailable("Broken.")
        answer = await asked(client)
    assert (answer["served_by"], answer["variants"]) == ("fresh", dict.fromkeys(EVERYTHING, "champion"))
    assert [request.model for request in peers.ranker.switches.requests] == ["champion"]
    assert answers() == {("challenger", "failed"): 1}


async def test_a_challenger_that_is_not_loaded_is_counted_apart(trying: Callable[..., Any], peers: Peers) -> None:
    async with trying(EVERYTHING) as client:
        peers.retrieval.challenger = NotFound("There is no challenger.")
        answer = await asked(client)
        assert (answer["served_by"], answer["variants"]) == ("fresh", dict.fromkeys(EVERYTHING, "champion"))
        peers.retrieval.challenger, peers.ranker.challenger = None, NotFound("There is no challenger.")
        assert (await asked(client))["variants"]["ranker"] == "champion"
    assert answers() == {("challenger", "missing"): 2}


async def test_a_shadow_that_is_not_loaded_is_counted_apart(trying: Callable[..., Any], peers: Peers) -> None:
    async with trying(EVERYTHING, shadow=True) as client:
        peers.ranker.challenger = NotFound("There is no challenger.")
        await asked(client)

        async def counted() -> bool:
            return answers().get(("shadow", "missing")) == 1

        await until(counted)
    assert answers() == {("shadow", "missing"): 1, ("champion", "ok"): 1}


async def test_a_source_that_is_lost_is_the_failure_of_the_arm_that_asked_it(
    trying: Callable[..., Any], peers: Peers
) -> None:
    async with trying(EVERYTHING) as client:
        peers.retrieval.lost = "no answer within 25 ms"
        answer = await asked(client)
    assert answer["variants"] == dict.fromkeys(EVERYTHING, "challenger")
    assert answer["model_versions"]["ranker"] == "13"
    assert answers() == {("challenger", "failed"): 1}


async def test_a_champion_whose_scores_are_all_nan_leaves_retrievals_order(
    trying: Callable[..., Any], peers: Peers
) -> None:
    async with trying(EVERYTHING, share=0.0) as client:
        peers.ranker.strange = {"champion": float("nan")}
        answer = await asked(client)
    assert [(entry["stage"], entry["fallback"]) for entry in answer["degraded"]] == [("ranking", "retrieval order")]
    assert (shown(answer), answers()) == ([1, 2, 3], {("champion", "failed"): 1})


async def test_nothing_is_measured_when_nothing_is_rolled_out(opened: Opened) -> None:
    async with opened(challenger_share=1) as client:
        assert (await asked(client))["variants"] == {"ranker": "challenger"}
    assert (answers(), measured()) == ({}, {})


@pytest.mark.parametrize(
    ("models", "stages", "ranked"),
    [
        ({"ranker": "13"}, {"ranking"}, ["champion", "challenger"]),
        (dict.fromkeys(QUARTET, "8"), {"retrieval"}, ["champion", "champion"]),
        (EVERYTHING, {"retrieval", "ranking"}, ["champion", "challenger"]),
    ],
    ids=["ranker", "retrieval", "both"],
)
async def test_a_shadow_is_asked_measured_and_never_shown(
    trying: Callable[..., Any], peers: Peers, models: dict[str, str], stages: set[str], ranked: list[str]
) -> None:
    logged = EVENTS.labels("impression")._value.get()
    async with trying(models, shadow=True) as client:
        before = SHADOW_OVERLAP._sum.get()
        peers.ranker.turned = True
        answer = await asked(client)

        async def followed() -> bool:
            return answers().get(("shadow", "ok")) == 1 and not inside(client)._shadow._tasks

        await until(followed)
        assert SHADOW_OVERLAP._sum.get() - before == (1.0 if "ranker" not in models else 0.0)
    assert (shown(answer), set(answer["variants"].values())) == (BEST, {"champion"})
    assert [request.model for request in peers.ranker.switches.requests] == ranked
    assert len(peers.reranker.switches.requests) == 1
    assert measured() == {(arm, stage): 1 for arm in ("champion", "shadow") for stage in stages}
    assert EVENTS.labels("impression")._value.get() - logged == 1


async def test_a_shadow_that_fails_is_counted_and_hurts_nobody(trying: Callable[..., Any], peers: Peers) -> None:
    async with trying(EVERYTHING, shadow=True) as client:
        peers.ranker.challenger = Unavailable("Broken.")
        answer = await asked(client)

        async def counted() -> bool:
            return answers().get(("shadow", "failed")) == 1

        await until(counted)
    assert (answer["served_by"], shown(answer), answers()[("champion", "ok")]) == ("fresh", BEST, 1)


async def test_shadows_beyond_the_limit_are_dropped_and_counted(trying: Callable[..., Any], peers: Peers) -> None:
    async with trying(EVERYTHING, shadow=True, shadow_requests=0) as client:
        dropped = SHADOW_DROPPED._value.get()
        await asked(client)
        assert SHADOW_DROPPED._value.get() == dropped + 1
    assert [request.model for request in peers.ranker.switches.requests] == ["champion"]


async def test_the_last_word_holds_while_the_trainer_is_away_and_the_next_is_heard(
    trying: Callable[..., Any], peers: Peers
) -> None:
    async with trying(EVERYTHING) as client:
        await peers.down("trainer")
        assert set((await asked(client))["variants"].values()) == {"challenger"}
        await peers.trainer.say(stage="rolled_back", reason="It made errors.")
        await peers.up("trainer")

        async def over() -> bool:
            return bool((await asked(client))["variants"] == {"ranker": "champion"})

        await until(over)


async def test_the_gateway_starts_without_a_trainer(opened: Opened, peers: Peers) -> None:
    await peers.down("trainer")
    async with opened() as client:
        assert (await asked(client))["variants"] == {"ranker": "champion"}
