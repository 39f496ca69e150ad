"""A real Kafka listener for tests; `from tests.kafka_fixture import kafka_url` makes the fixture known to a module."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from services.runtime.broker import kafka_broker

START_SECONDS = 20.0


@contextmanager
def running_broker(port: int = 0) -> Iterator[str]:
    """A broker in a thread of this process; yields its URL."""
    started: list[str] = []
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with kafka_broker(port) as url:
            started.append(url)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), name="kafka")
    thread.start()
    try:
        assert ready.wait(START_SECONDS), "The in-memory Kafka broker did not start."
        yield started[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="session")
def kafka_url() -> Iterator[str]:
    """The URL of a broker of this test run. It is shared: use user ids, event ids and groups of your own."""
    with running_broker() as url:
        yield url
