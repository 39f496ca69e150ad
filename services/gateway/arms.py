"""Who gets the challengers: the release on its way, as the trainer tells it, and one request's side of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Self, TypeVar

import grpc
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from services.gateway.identifiers import share_of
from services.pb import trainer_pb2, trainer_pb2_grpc
from services.runtime.errors import CascadeError, NotFound
from services.runtime.logs import get_logger
from services.runtime.metrics import ARM_ANSWERS, ARM_SECONDS

Made = TypeVar("Made")

CHAMPION, CHALLENGER = "champion", "challenger"
OK, FAILED, MISSING = "ok", "failed", "missing"
RANKER = "ranker"
MODELS_OF = {"retrieval": ("two_tower", "co_visitation", "popularity", "ease"), "ranking": (RANKER,)}
"""The models each stage asks, by stage in the order of a request."""
ENDED = ("champion", "rolled_back")
"""Stages of a rollout in which nothing is tried any more."""
EXPERIMENT = "release"
"""What users are split by."""

log = get_logger("arms")


@dataclass(frozen=True, slots=True)
class Release:
    """Models that are tried together."""

    models: frozenset[str] = frozenset()
    """Empty when nothing is tried."""
    share: float = 0.0
    """Of users who get the challengers."""
    shadow: bool = False
    """The challengers are asked beside the champions and never shown."""
    compared: bool = False
    """A rollout reads what the arms cost; a fixed share of the settings is not watched."""


@dataclass(slots=True)
class Arm:
    """One request's side of a release: whom it asks, what the user really got, and whether the arm did its work."""

    release: Release = Release()
    variant: str = CHAMPION
    """Where the user belongs."""
    experiments: dict[str, str] = field(default_factory=lambda: {RANKER: CHAMPION})
    """Model -> the variant the user really got."""
    _asked: bool = False
    _failed: bool = False
    _missing: bool = False
    _lost: bool = False

    @classmethod
    def of(cls, release: Release, user_id: int) -> Arm:
        """The same arm for a user in every request; the champion's for a visitor without an id."""
        chosen = bool(user_id) and share_of(EXPERIMENT, user_id) < release.share
        variant = CHALLENGER if chosen else CHAMPION
        return cls(release, variant, {RANKER: CHAMPION, **dict.fromkeys(sorted(release.models), variant)})

    async def ask(
        self,
        stage: str,
        ask: Callable[[str, float], Awaitable[Made]],
        timeout: float,
        left: Callable[[], float],
    ) -> Made:
        """`ask(model, seconds)` for this arm's model within `timeout`; a challenger that is lost leads to the champion.

        `left` tells the seconds that remain for the second try, or raises. From a lost challenger on, all that is left
        of the request is the champion's: models of one release are not mixed.
        """
        if not self._tries(stage):
            return await ask(CHAMPION, timeout)
        try:
            return await self._measured(stage, ask, timeout)
        except CascadeError as error:
            if self.variant == CHAMPION:
                raise
            log.debug("challenger lost", stage=stage, reason=error.sentence)
        self._fall_back(stage)
        return await ask(CHAMPION, left())

    def suffered(self, stage: str) -> None:
        """The arm answered this stage, but not with all that was asked of it."""
        self._failed = self._failed or self._tries(stage)

    def settle(self) -> None:
        """Counts the request for its arm; one whose challenger was not loaded is no answer of it."""
        if self.release.compared and self._asked:
            outcome = MISSING if self._missing else FAILED if self._failed else OK
            ARM_ANSWERS.labels(self.variant, outcome).inc()

    def _tries(self, stage: str) -> bool:
        return not self._lost and not self.release.models.isdisjoint(MODELS_OF[stage])

    async def _measured(self, stage: str, ask: Callable[[str, float], Awaitable[Made]], timeout: float) -> Made:
        self._asked = True
        try:
            if not self.release.compared:
                return await ask(self.variant, timeout)
            with timed(self.variant, stage):
                return await ask(self.variant, timeout)
        except CascadeError as error:
            self._missing = self.variant == CHALLENGER and isinstance(error, NotFound)
            self._failed = not self._missing
            raise

    def _fall_back(self, stage: str) -> None:
        self._lost = True
        stages = list(MODELS_OF)
        for later in stages[stages.index(stage) :]:
            for model in self.release.models.intersection(MODELS_OF[later]):
                self.experiments[model] = CHAMPION


@contextmanager
def timed(arm: str, stage: str) -> Iterator[None]:
    """Tells how long an arm's models took, also when they failed; a model that is not loaded took no time."""
    started = time.perf_counter()
    try:
        yield
    except NotFound:
        raise
    except CascadeError:
        ARM_SECONDS.labels(arm, stage).observe(time.perf_counter() - started)
        raise
    ARM_SECONDS.labels(arm, stage).observe(time.perf_counter() - started)


class Arms:
    """Follows the trainer's word on the rollout. It keeps the last one while the trainer is away.

    async with Arms.following(channel, share=0.0) as arms:
        arms.of(user_id)
    """

    def __init__(self, share: float) -> None:
        self._fixed = Release(frozenset({RANKER}), share) if share else Release()
        self.release = self._fixed

    @classmethod
    @asynccontextmanager
    async def following(cls, channel: grpc.aio.Channel, share: float) -> AsyncIterator[Self]:
        """Follows until the block ends; `share` of users get the ranker's challenger while no rollout is on its way."""
        arms = cls(share)
        task = asyncio.create_task(arms._follow_forever(trainer_pb2_grpc.RolloutsStub(channel)))
        try:
            yield arms
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def of(self, user_id: int) -> Arm:
        """The side a request of this user is on, by the release of this moment."""
        return Arm.of(self.release, user_id)

    async def _follow_forever(self, stub: trainer_pb2_grpc.RolloutsAsyncStub) -> None:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(grpc.RpcError), wait=wait_random_exponential(0.1, max=2.0)
        ):
            with attempt:
                await self._follow(stub)

    async def _follow(self, stub: trainer_pb2_grpc.RolloutsAsyncStub) -> None:
        stream = stub.WatchRollout(trainer_pb2.RolloutRequest(), wait_for_ready=True)
        try:
            async for rollout in stream:
                self._take(rollout)
        finally:
            stream.cancel()
        raise grpc.RpcError("The trainer ended the stream.")

    def _take(self, rollout: trainer_pb2.Rollout) -> None:
        release = self._fixed
        if rollout.rollout_id and rollout.stage not in ENDED:
            share = 0.0 if rollout.shadow else rollout.share
            release = Release(frozenset(rollout.challengers), share, rollout.shadow, compared=True)
        if release != self.release:
            log.info("release", rollout=rollout.rollout_id, stage=rollout.stage, share=round(release.share, 4))
        self.release = release
