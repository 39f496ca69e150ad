"""A real Kafka listener for tests; `from tests.kafka_fixture import kafka_url` makes the fixture known to a module."""

from __future__ import annotations

import asyncio
import gc
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager

import pytest

from services.runtime.broker import HOST, Forwarder, kafka_broker

START_SECONDS = 20.0


@contextmanager
def running_broker(port: int = 0) -> Iterator[str]:
    """A broker in a thread of this process; yields its URL."""
    with _in_a_thread(kafka_broker(port)) as url:
        yield url


@contextmanager
def another_door(url: str, port: int) -> Iterator[str]:
    """Lets a broker that runs already be found at a second port as well; yields the URL with that port."""
    with _in_a_thread(_door(int(url.rsplit(":", 1)[1]), port)) as other:
        yield other


@asynccontextmanager
async def _door(target: int, port: int) -> AsyncIterator[str]:
    forwarder = Forwarder(target)
    forwarder.port = port
    async with await asyncio.start_server(forwarder.serve, HOST, port):
        yield f"kafka://{HOST}:{port}"
        await forwarder.close()


@contextmanager
def _in_a_thread(listener: AbstractAsyncContextManager[str]) -> Iterator[str]:
    """Enters what listens in a loop of its own, for tests that block theirs; yields its URL."""
    started: list[str] = []
    ready, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with listener as url:
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


@pytest.fixture(autouse=True)
def collected(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """For a module that imports it: kafka-python leaves sockets to the collector, and its errors in the log hold them.

    They are collected here, without a warning that would fail whatever test runs when it comes.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        caplog.get_records("call").clear()
        gc.collect()


@pytest.fixture(scope="session")
def kafka_url() -> Iterator[str]:
    """The URL of a broker of this test run. It is shared: use user ids, event ids and groups of your own."""
    with running_broker() as url:
        yield url
