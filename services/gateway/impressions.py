"""What was shown is what will be learned: slates with their feature rows, logged after the answer has left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from services.gateway.journey import Journey
from services.gateway.nouns import Candidates, Scores, Slate
from services.pb import events_pb2
from services.runtime.errors import Unavailable
from services.runtime.eventlog import IMPRESSIONS, EventLog, Record
from services.runtime.logs import get_logger
from services.runtime.metrics import EVENTS
from services.runtime.tracing import traceparent

BATCH = 200
"""Impressions appended together at most."""
LINGER_SECONDS = 0.1
"""How long the first of a batch waits for company: a batch costs the client about as much CPU as a single record."""

log = get_logger("impressions")


@dataclass(frozen=True, slots=True)
class Shown:
    """One slate as shown: only what the impression needs, copied out of the request."""

    journey: Journey
    ids: NDArray[np.uint64]
    scores: NDArray[np.float32]
    slots: tuple[str, ...]
    propensities: NDArray[np.float32]
    columns: tuple[str, ...]
    features: NDArray[np.float32]
    versions: Mapping[str, str]
    objectives: Mapping[str, float]
    traceparent: str = field(default_factory=traceparent)
    """Of the request: the record is made later, by the task that sends it."""

    @classmethod
    def of(
        cls, journey: Journey, found: Candidates, scores: Scores, slate: Slate, versions: Mapping[str, str]
    ) -> Shown:
        """Rows of the shown items; fancy indexing copies them, so the request's large arrays can go."""
        features = scores.features_of(slate.rows)
        return cls(
            journey, found.ids[slate.rows], scores.values[slate.rows], slate.slots, slate.propensities,
            scores.columns, features, versions, scores.objectives,
        )  # fmt: skip

    def record(self) -> Record:
        """As the event log takes it."""
        ask = self.journey.ask
        impression = events_pb2.Impression(
            recommendation_id=self.journey.recommendation_id,
            user_id=ask.user_id,
            session_id=ask.session_id,
            surface=ask.surface,
            ts_us=self.journey.received_us,
            item_ids=self.ids.tolist(),
            scores=self.scores.astype("<f4").tobytes(),
            propensities=self.propensities.astype("<f4").tobytes(),
            slots=self.slots,
            feature_columns=self.columns,
            features=self.features.astype("<f4").tobytes(),
            model_versions=self.versions,
            experiments=self.journey.experiments,
            served_by=self.journey.served_by,
            objectives=self.objectives,
        )
        return Record(IMPRESSIONS, str(ask.user_id), impression.SerializeToString(), self.traceparent)


class ImpressionLog:
    """A bounded queue in front of the event log. When either is full or away, impressions are dropped and counted."""

    def __init__(self, producer: EventLog, limit: int, timeout: float) -> None:
        self._producer, self._timeout = producer, timeout
        self._queue: asyncio.Queue[Shown] = asyncio.Queue(limit)
        self._closing = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(cls, producer: EventLog, limit: int, timeout: float) -> AsyncIterator[Self]:
        """Logs in the background; leaving the block gives what is queued `timeout` seconds more."""
        impressions = cls(producer, limit, timeout)
        task = asyncio.create_task(impressions._log_forever())
        try:
            yield impressions
        finally:
            impressions._closing.set()
            await asyncio.wait({asyncio.create_task(impressions._queue.join())}, timeout=timeout)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def offer(self, shown: Shown) -> None:
        """Takes a slate; never waits."""
        if not shown.ids.size:
            return
        try:
            self._queue.put_nowait(shown)
        except asyncio.QueueFull:
            EVENTS.labels("impression_dropped").inc()

    async def _log_forever(self) -> None:
        while True:
            batch = [await self._queue.get()]
            if self._queue.qsize() < BATCH - 1 and not self._closing.is_set():
                await _lingered(self._closing)
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._producer.append([shown.record() for shown in batch], timeout=self._timeout)
                EVENTS.labels("impression").inc(len(batch))
            except Unavailable as error:
                EVENTS.labels("impression_dropped").inc(len(batch))
                log.warning("impressions dropped", count=len(batch), reason=error.sentence)
            except Exception:
                # A boundary: one batch that cannot be written must not end the log of all that follow.
                EVENTS.labels("impression_dropped").inc(len(batch))
                log.exception("impressions dropped", count=len(batch))
            finally:
                for _ in batch:
                    self._queue.task_done()


async def _lingered(closing: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(closing.wait(), LINGER_SECONDS)
    except TimeoutError:
        return
