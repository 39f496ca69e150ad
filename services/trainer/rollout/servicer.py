"""The Rollouts rpcs: protobuf outside, the conductor inside, which looks at the release on its way again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import grpc

from services.pb import common_pb2, trainer_pb2, trainer_pb2_grpc
from services.runtime.errors import CascadeError
from services.runtime.logs import get_logger
from services.runtime.registry import Registry
from services.runtime.setbacks import Setbacks
from services.trainer.rollout.conductor import Conductor, View
from services.trainer.rollout.machine import SHADOW
from services.trainer.rollout.objectives import set_objectives
from services.trainer.rollout.release import promote, rollback
from services.trainer.settings import TrainerSettings

Context = grpc.aio.ServicerContext[Any, Any]

log = get_logger("rollout")


class Rollouts(trainer_pb2_grpc.RolloutsServicer):
    """Answers from the last look; changes by hand are made at once and looked at before the answer."""

    def __init__(self, registry: Registry, conductor: Conductor, every_s: float) -> None:
        self._registry, self._conductor, self._every_s = registry, conductor, every_s
        self._word = trainer_pb2.Rollout()
        self._changed = asyncio.Event()
        self._draining = False

    @classmethod
    @asynccontextmanager
    async def open(cls, registry: Registry, conductor: Conductor, every_s: float) -> AsyncIterator[Self]:
        """Conducts in the background until the block ends."""
        rollouts = cls(registry, conductor, every_s)
        task = asyncio.create_task(rollouts._conduct())
        try:
            yield rollouts
        finally:
            rollouts.drain()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await rollouts._close()

    def drain(self) -> None:
        """Ends the streams."""
        self._draining = True
        self._changed.set()

    async def GetRollout(self, request: trainer_pb2.RolloutRequest, context: Context) -> trainer_pb2.Rollout:
        return self._word

    async def WatchRollout(
        self, request: trainer_pb2.RolloutRequest, context: Context
    ) -> AsyncIterator[trainer_pb2.Rollout]:
        while not self._draining:
            # Taken before the word is sent: what changes while a slow reader takes it is not missed.
            changed = self._changed
            yield self._word
            await changed.wait()

    async def Promote(self, request: trainer_pb2.ModelChange, context: Context) -> trainer_pb2.ModelChanged:
        return await self._by_hand(lambda: promote(self._registry, request.name, request.version))

    async def Rollback(self, request: trainer_pb2.ModelChange, context: Context) -> trainer_pb2.ModelChanged:
        return await self._by_hand(lambda: rollback(self._registry, request.name))

    async def SetObjectives(self, request: trainer_pb2.ObjectivesChange, context: Context) -> common_pb2.Objectives:
        objectives = await asyncio.to_thread(set_objectives, self._registry, dict(request.weights))
        log.info("objectives", version=objectives.model_version, weights=dict(objectives.weights))
        return objectives

    async def _by_hand(self, change: Callable[[], dict[str, str]]) -> trainer_pb2.ModelChanged:
        champions = await asyncio.to_thread(change)
        log.info("changed by hand", **champions)
        self._say(await asyncio.to_thread(self._conductor.look, changed=True))
        return trainer_pb2.ModelChanged(champions=champions)

    async def _conduct(self) -> None:
        setbacks = Setbacks(0.0)
        while True:
            try:
                self._say(await asyncio.to_thread(self._conductor.look))
                setbacks.worked("look")
            except CascadeError as error:
                if setbacks.failed("look", error.sentence):
                    log.warning("the rollout cannot be looked at; trying again", reason=error.sentence)
            except Exception:
                # The boundary of the background work.
                log.exception("the rollout cannot be looked at")
            await asyncio.sleep(self._every_s)

    async def _close(self) -> None:
        try:
            await asyncio.to_thread(self._conductor.close)
        except CascadeError as error:
            log.warning("what the step counted last is not kept", reason=error.sentence)

    def _say(self, view: View) -> None:
        word = to_proto(view)
        if word != self._word:
            self._word = word
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()


@asynccontextmanager
async def open_rollouts(settings: TrainerSettings, registry: Registry) -> AsyncIterator[Rollouts]:
    """The servicer over a registry. Call its `drain` when the server drains: streams run for ever otherwise."""
    urls = [url.strip() for url in settings.metrics_urls.split(",") if url.strip()]
    conductor = Conductor(registry, settings.rollout, urls)
    async with Rollouts.open(registry, conductor, settings.rollout.every_s) as rollouts:
        yield rollouts


def to_proto(view: View) -> trainer_pb2.Rollout:
    """A view as it is told."""
    rollout = view.rollout
    if rollout is None:
        return trainer_pb2.Rollout(champions=view.champions)
    guardrails = [
        trainer_pb2.Guardrail(
            name=one.name, champion=one.champion, challenger=one.challenger, limit=one.limit,
            breached=bool(one.breach), samples=one.samples,
        )
        for one in view.guardrails
    ]  # fmt: skip
    return trainer_pb2.Rollout(
        # An ended one keeps its id: who began it learns how it ended.
        rollout_id=rollout.rollout_id,
        stage=rollout.stage,
        share=rollout.share,
        shadow=rollout.stage == SHADOW,
        challengers=rollout.challengers,
        champions=view.champions,
        since_us=rollout.since_us,
        reason=rollout.reason,
        guardrails=guardrails,
    )
