"""The door of ingest: nothing to call but the health check, and a thread that reads the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from kafka import ConsumerRebalanceListener
from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from services.features.packing import View
from services.ingest.compaction import Compaction
from services.ingest.consumer import Consumer
from services.ingest.lake import Lake
from services.ingest.online import OnlineWriter, load_views
from services.ingest.settings import IngestSettings
from services.runtime.errors import Unavailable
from services.runtime.eventlog import CATALOG, EVENTS, IMPRESSIONS, EventLogProducer, open_consumer
from services.runtime.server import Door, Service

STORE_TIMEOUT_SECONDS = 5.0


@asynccontextmanager
async def build(settings: IngestSettings) -> AsyncIterator[Door]:
    """Waits for Redis and the definitions in it, then reads the log until the block ends."""
    redis = Redis.from_url(
        settings.redis_url, socket_timeout=STORE_TIMEOUT_SECONDS, socket_connect_timeout=STORE_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )  # fmt: skip
    views = await _views(redis, settings.start_seconds)
    dead_letters, lake = EventLogProducer(settings.kafka_url), settings.data_dir / "lake"
    consumer = Consumer(
        lambda listener: _open_log(settings, listener),
        OnlineWriter(redis, views),
        Lake(lake, redis),
        Compaction(lake, redis, settings.compact_files),
        dead_letters,
        settings,
    )
    reading = asyncio.create_task(asyncio.to_thread(consumer.run))
    try:
        yield Door(
            add=lambda server: None,
            services=(),
            failed=reading,
            draining=lambda: consumer.stop(settings.drain_seconds),
        )
    finally:
        consumer.stop(settings.drain_seconds)
        await asyncio.wait([reading])
        await dead_letters.close()
        redis.close()


def _open_log(settings: IngestSettings, listener: ConsumerRebalanceListener) -> Any:
    session_ms = int(settings.session_seconds * 1000)
    overrides = {
        "session_timeout_ms": session_ms,
        "heartbeat_interval_ms": session_ms // 4,
        "fetch_max_wait_ms": settings.fetch_wait_ms,
    }
    topics = (EVENTS, IMPRESSIONS, CATALOG)
    return open_consumer(settings.kafka_url, settings.group, topics, overrides, listener=listener)


async def _views(redis: Redis, seconds: float) -> dict[str, View]:
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(Unavailable),
        stop=stop_after_delay(seconds),
        wait=wait_random_exponential(0.1, max=1.0),
        reraise=True,
    ):
        with attempt:
            try:
                return await asyncio.to_thread(load_views, redis)
            except RedisError as error:
                raise Unavailable(f"The online store does not answer: {error}") from error
    raise AssertionError("the last attempt returns or raises")


SERVICE = Service("ingest", IngestSettings, build)
