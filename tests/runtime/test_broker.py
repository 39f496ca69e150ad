"""The in-memory Kafka listener and the port it keeps."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from services.runtime.broker import TOPICS, Forwarder, kafka_broker
from services.runtime.eventlog import EventLogProducer, Record, open_consumer

ROOT = Path(__file__).parents[2]


async def test_what_is_appended_is_read_through_the_port_that_was_asked_for() -> None:
    async with kafka_broker() as url:
        producer = EventLogProducer(url)
        await producer.append([Record("events", "7", b"hello")], timeout=10)
        await producer.close()
        consumer = await asyncio.to_thread(open_consumer, url, "test", ["events"])
        polled: dict[object, list[object]] = {}
        async with asyncio.timeout(20):
            while not polled:
                polled = await asyncio.to_thread(consumer.poll, timeout_ms=200)
        assert [record.value for records in polled.values() for record in records] == [b"hello"]  # type: ignore[attr-defined]  # kafka-python has no types
        assert set(TOPICS) <= await asyncio.to_thread(consumer.topics)
        await asyncio.to_thread(consumer.close)


def test_only_answers_about_addresses_are_changed() -> None:
    forwarder = Forwarder(target=1111)
    forwarder.port = 2222
    address, new = b"127.0.0.1" + (1111).to_bytes(4, "big"), b"127.0.0.1" + (2222).to_bytes(4, "big")
    asked = {b"\x00\x00\x00\x05"}
    assert forwarder.readdressed(b"\x00\x00\x00\x04" + address, asked) == b"\x00\x00\x00\x04" + address
    assert forwarder.readdressed(b"\x00\x00\x00\x05" + address, asked) == b"\x00\x00\x00\x05" + new
    assert asked == set()


async def test_a_port_in_use_is_an_error_and_not_another_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder, pytest.raises(OSError, match="in use"):
        async with kafka_broker(holder.getsockname()[1]):
            pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_process_says_its_url_and_ends_cleanly(number: signal.Signals) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "services.runtime.broker", "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    assert child.stdout is not None
    assert child.stdout.readline().startswith("kafka://127.0.0.1:")
    child.send_signal(number)
    _, errors = child.communicate(timeout=20)
    assert child.returncode == 0
    assert "Traceback" not in errors
