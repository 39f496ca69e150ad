"""The service over a real registry, real metrics pages and real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from services.pb import trainer_pb2, trainer_pb2_grpc
from services.runtime.client import call, open_channel
from services.runtime.errors import Conflict, NotFound
from services.runtime.objectives import noted_objectives
from services.runtime.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry
from services.runtime.server import Door, Service, serving
from services.trainer.rollout.release import promote_release, start_release
from services.trainer.rollout.servicer import Context, open_rollouts
from services.trainer.rollout.settings import RolloutSettings, Step
from services.trainer.settings import TrainerSettings
from tests.trainer.rollout.test_readings import Counts, page
from tests.trainer.rollout.versions import Versions

QUICK = RolloutSettings(
    steps=(
        Step(stage="shadow", share=0.0, seconds=0, samples=5, longest=3600),
        Step(stage="canary", share=0.1, seconds=0, samples=5, longest=3600),
        Step(stage="ramp", share=0.5, seconds=0, samples=5, longest=3600),
    ),
    every_s=0.02,
)
ASK = trainer_pb2.RolloutRequest()


@asynccontextmanager
async def build(settings: TrainerSettings) -> AsyncIterator[Door]:
    registry = await asyncio.to_thread(Registry.open, settings.data_dir)
    async with open_rollouts(settings, registry) as rollouts:
        yield Door(
            add=lambda server: trainer_pb2_grpc.add_RolloutsServicer_to_server(rollouts, server),
            services=("cascade.Rollouts",),
            draining=rollouts.drain,
        )


@asynccontextmanager
async def running_trainer(versions: Versions, url: str, rollout: RolloutSettings) -> AsyncIterator[str]:
    """host:port of a trainer that conducts rollouts over a data folder."""
    settings = TrainerSettings(data_dir=versions.data_dir, port=0, metrics_urls=url, rollout=rollout)
    async with serving(Service("trainer", TrainerSettings, build), settings) as running:
        yield running.address


@asynccontextmanager
async def conducted(
    versions: Versions, url: str, rollout: RolloutSettings = QUICK
) -> AsyncIterator[trainer_pb2_grpc.RolloutsAsyncStub]:
    """The same, to be asked."""
    async with running_trainer(versions, url, rollout) as address, open_channel(f"grpc://{address}") as channel:
        yield trainer_pb2_grpc.RolloutsStub(channel)


async def told(
    stub: trainer_pb2_grpc.RolloutsAsyncStub,
    wanted: Callable[[trainer_pb2.Rollout], bool],
    meanwhile: Callable[[], Any] = lambda: None,
) -> list[trainer_pb2.Rollout]:
    """What a watcher hears until the wanted word, which is the last."""
    heard: list[trainer_pb2.Rollout] = []
    async with asyncio.timeout(20):
        async for word in stub.WatchRollout(ASK):
            heard.append(word)
            if wanted(word):
                return heard
            meanwhile()
    raise AssertionError([word.stage for word in heard])


async def test_a_good_release_goes_all_the_way_while_a_watcher_hears_every_step(versions: Versions) -> None:
    counts = Counts(1)
    release = versions.add_all("second")
    with page(counts.registry) as url:
        async with conducted(versions, url) as stub:
            await asyncio.to_thread(start_release, versions.registry, release)

            def traffic() -> None:
                for arm in ("shadow", "challenger", "champion"):
                    counts.answers.labels(arm, "ok").inc(5)

            heard = await told(stub, lambda word: word.stage == "champion", traffic)
    stages = list(dict.fromkeys((word.stage, round(word.share, 3)) for word in heard if word.stage))
    assert stages == [("shadow", 0), ("canary", 0.1), ("ramp", 0.5), ("champion", 1)]
    assert len({word.rollout_id for word in heard if word.stage}) == 1, "an ended rollout keeps its id"
    assert dict(heard[-1].champions) == release
    assert {word.shadow for word in heard if word.stage == "shadow"} == {True}
    for name in release:
        assert versions.aliases(name) == {CHAMPION: "2", PREVIOUS: "1"}


async def test_a_release_that_fails_is_taken_back_with_its_reason(versions: Versions) -> None:
    counts = Counts(1)
    release = {"ranker": versions.add("ranker")}
    with page(counts.registry) as url:
        async with conducted(versions, url) as stub:
            await asyncio.to_thread(start_release, versions.registry, release)

            def traffic() -> None:
                counts.answers.labels("champion", "ok").inc(20)
                counts.answers.labels("shadow", "ok").inc(5)
                counts.answers.labels("challenger", "failed").inc(1)

            heard = await told(stub, lambda word: word.stage == "rolled_back", traffic)
    assert "canary" in {word.stage for word in heard}
    assert "ramp" not in {word.stage for word in heard}, "five failures come before it"
    assert "The challenger failed" in heard[-1].reason
    errors = next(one for one in heard[-1].guardrails if one.name == "errors")
    assert errors.breached
    assert errors.challenger == 1
    assert versions.aliases("ranker") == {CHAMPION: "1"}
    assert versions.registry.resolve("ranker", "2").tags["rollout"].startswith("rolled back: The challenger failed")


async def test_a_release_that_is_asked_and_never_loaded_is_taken_back(versions: Versions) -> None:
    counts = Counts(1)
    steps = (Step(stage="shadow", share=0.0, seconds=0, samples=5, longest=0.2),)
    with page(counts.registry) as url:
        async with conducted(versions, url, QUICK.model_copy(update={"steps": steps})) as stub:
            await asyncio.to_thread(start_release, versions.registry, {"ranker": versions.add("ranker")})
            # A counter that nobody has counted with is not on the page: the first reading would be a first one.
            counts.answers.labels("shadow", "missing").inc(0)
            await told(stub, lambda word: word.stage == "shadow")
            counts.answers.labels("shadow", "missing").inc(7)
            heard = await told(stub, lambda word: word.stage in ("rolled_back", "champion"))
    assert heard[-1].stage == "rolled_back"
    assert heard[-1].reason.startswith("The challenger was asked 7 times and never loaded")


async def test_a_restart_goes_on_with_the_same_step_and_what_it_has_counted(versions: Versions) -> None:
    counts = Counts(1)
    steps = (Step(stage="canary", share=0.1, seconds=0, samples=10, longest=3600),)
    settings = QUICK.model_copy(update={"steps": steps})
    with page(counts.registry) as url:
        async with conducted(versions, url, settings) as stub:
            await asyncio.to_thread(start_release, versions.registry, {"ranker": versions.add("ranker")})
            await told(stub, lambda word: word.stage == "canary")

            def some() -> None:
                if counts.answers.labels("challenger", "ok")._value.get() < 6:
                    counts.answers.labels("challenger", "ok").inc(6)

            first = (await told(stub, lambda word: _samples(word) == 6, some))[-1]
        async with conducted(versions, url, settings) as stub:
            again = (await told(stub, lambda word: word.stage == "canary"))[-1]
            assert (again.rollout_id, again.since_us, _samples(again)) == (first.rollout_id, first.since_us, 6)

            def more() -> None:
                counts.answers.labels("challenger", "ok").inc(1)

            await told(stub, lambda word: word.stage == "champion", more)


async def test_a_rollout_waits_while_the_metrics_cannot_be_read(versions: Versions) -> None:
    steps = (Step(stage="canary", share=0.1, seconds=0, samples=0, longest=0),)
    settings = QUICK.model_copy(update={"steps": steps})
    async with conducted(versions, "http://127.0.0.1:9/metrics", settings) as stub:
        await asyncio.to_thread(start_release, versions.registry, {"ranker": versions.add("ranker")})
        word = (await told(stub, lambda word: bool(word.reason)))[-1]
    assert word.stage == "canary"
    assert word.reason.startswith("Waits: http://127.0.0.1:9/metrics cannot be read")


async def test_a_champion_that_changes_underneath_ends_the_comparison(versions: Versions) -> None:
    with page(Counts(1).registry) as url:
        async with conducted(versions, url) as stub:
            await asyncio.to_thread(start_release, versions.registry, {"ranker": versions.add("ranker")})
            await told(stub, lambda word: word.stage == "shadow")
            await asyncio.to_thread(versions.add, "ranker", alias=CHAMPION)
            word = (await told(stub, lambda word: word.stage == "rolled_back"))[-1]
    assert word.reason == "The champion of ranker is no longer version 1."


async def test_changes_by_hand_are_told_by_the_next_question(versions: Versions) -> None:
    registry = versions.registry
    promote_release(registry, {"ranker": versions.add("ranker")})
    with page(Counts(1).registry) as url:
        async with conducted(versions, url) as stub:
            change = trainer_pb2.ModelChange(name="ranker")
            answer = await call(stub.Rollback, change, timeout=10, peer="trainer")
            assert dict(answer.champions) == {"ranker": "1"}
            assert (await stub.GetRollout(ASK)).champions["ranker"] == "1"
            answer = await call(
                stub.Promote, trainer_pb2.ModelChange(name="ranker", version="2"), timeout=10, peer="trainer"
            )
            assert dict(answer.champions) == {"ranker": "2"}
            assert (await stub.GetRollout(ASK)).champions["ranker"] == "2"
            with pytest.raises(NotFound, match="There is no model 'llm'"):
                await call(stub.Rollback, trainer_pb2.ModelChange(name="llm"), timeout=10, peer="trainer")
    assert CHALLENGER not in versions.aliases("ranker")


async def test_streams_end_when_the_service_drains(versions: Versions) -> None:
    settings = TrainerSettings(data_dir=versions.data_dir, metrics_urls="")
    async with open_rollouts(settings, versions.registry) as rollouts, asyncio.timeout(10):
        heard = 0
        # Streams ask nothing of their context.
        async for _ in rollouts.WatchRollout(ASK, cast(Context, None)):
            heard += 1
            rollouts.drain()
    assert heard == 1


def _samples(word: trainer_pb2.Rollout) -> int:
    return next((one.samples for one in word.guardrails if one.name == "errors"), 0)


async def test_objectives_are_kept_of_a_champion_with_heads_and_refused_of_another(
    versions: Versions,
) -> None:
    change = trainer_pb2.ObjectivesChange(weights={"like": 2.0})
    async with conducted(versions, "") as stub:
        with pytest.raises(Conflict, match=r"version 1 \(dlrm\).*Promote a version of kind mmoe"):
            await call(stub.SetObjectives, change, timeout=10, peer="trainer")
        assert noted_objectives(versions.registry) == {}
        heads = {"shape": {"heads": ["click", "like"], "value": [1.0, 0.0]}}
        second = versions.add("ranker", alias=CHAMPION, kind="mmoe", config=heads)
        answer = await call(stub.SetObjectives, change, timeout=10, peer="trainer")
    assert (answer.model_version, answer.model_kind, list(answer.heads)) == (second, "mmoe", ["click", "like"])
    assert (dict(answer.weights), dict(answer.defaults)) == ({"click": 0.0, "like": 2.0}, {"click": 1.0, "like": 0.0})
    assert noted_objectives(Registry.open(versions.data_dir)) == {"like": 2.0}
