"""A Kafka listener without Kafka: librdkafka's in-memory broker behind one port that stays the same.

python -m services.runtime.broker --port 9092

It speaks the real protocol (groups, commits, idempotence) and keeps everything in memory, about 5 MB a partition: it
is for development and tests. The broker picks a random port and advertises it; `Forwarder` listens on the port that
was asked for and puts that port into the answers which tell clients where the broker is. So clients survive a restart
of the broker; what it held is gone, and members of groups are told so (see membership.py).
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from confluent_kafka import Producer

from services.runtime.eventlog import CATALOG, DEAD_LETTERS, EVENTS, IMPRESSIONS
from services.runtime.membership import Membership

HOST = "127.0.0.1"
TOPICS = (EVENTS, IMPRESSIONS, CATALOG, DEAD_LETTERS)
HANG_UP_SECONDS = 2.0

_METADATA, _FIND_COORDINATOR = 3, 10
"""Kafka's numbers of the two requests whose answers carry a broker's address."""
_API_VERSIONS, _NO_CLIENT_ID = b"\x00\x12\x00\x00", b"\xff\xff"
"""A whole request, but for the correlation id between them, that every broker answers and that changes nothing."""


@asynccontextmanager
async def kafka_broker(port: int = 0) -> AsyncIterator[str]:
    """A broker for the length of the block; yields its URL. Port 0 takes any free one; OSError when it is taken."""
    cluster = Producer({"test.mock.num.brokers": 1, "log_level": 0})
    metadata = await asyncio.to_thread(cluster.list_topics, timeout=10)
    for topic in TOPICS:
        # Asking about a topic makes it, with four partitions: who subscribes before the first record need not wait.
        await asyncio.to_thread(cluster.list_topics, topic, timeout=10)
    forwarder = Forwarder(target=next(iter(metadata.brokers.values())).port)
    server = await asyncio.start_server(forwarder.serve, HOST, port)
    forwarder.port = server.sockets[0].getsockname()[1]
    try:
        yield f"kafka://{HOST}:{forwarder.port}"
    finally:
        server.close()
        await forwarder.close()


class Forwarder:
    """Carries Kafka's frames to the broker and back: four bytes of length, then the body."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        """Where clients are to connect; known once it listens."""
        self._clients: set[asyncio.Task[Any]] = set()
        self._carriers: set[asyncio.Task[None]] = set()
        self._membership = Membership()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client, until either side hangs up."""
        client = asyncio.current_task()
        assert client is not None
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)
        broker_reader, broker_writer = await asyncio.open_connection(HOST, self.target)
        asked: set[bytes] = set()
        refusals: dict[bytes, bytes] = {}
        both = {
            asyncio.create_task(_carry(reader, broker_writer, lambda frame: self._request(frame, asked, refusals))),
            asyncio.create_task(_carry(broker_reader, writer, lambda frame: self._answer(frame, asked, refusals))),
        }
        self._carriers |= both
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for carrier in both:
            carrier.cancel()
        self._carriers -= both
        writer.close()
        broker_writer.close()

    async def close(self) -> None:
        """Hangs up on everybody."""
        for carrier in self._carriers:
            carrier.cancel()
        if self._clients:
            await asyncio.wait(self._clients, timeout=HANG_UP_SECONDS)

    def _request(self, frame: bytes, asked: set[bytes], refusals: dict[bytes, bytes]) -> bytes:
        """What the broker is to see of a request; notes in the other two, by correlation id, how to change its answer.

        In place of a refused request goes one that changes nothing: a client expects answers in the order it asked.
        """
        correlation = frame[4:8]
        if int.from_bytes(frame[:2], "big") in (_METADATA, _FIND_COORDINATOR):
            asked.add(correlation)
        refusal = self._membership.refusal(frame)
        if refusal is None:
            return frame
        refusals[correlation] = refusal
        return _API_VERSIONS + correlation + _NO_CLIENT_ID

    def _answer(self, frame: bytes, asked: set[bytes], refusals: dict[bytes, bytes]) -> bytes:
        return refusals.pop(frame[:4], None) or self.readdressed(frame, asked)

    def readdressed(self, answer: bytes, asked: set[bytes]) -> bytes:
        """The answer with our port in place of the broker's, when its correlation id is among those `asked` for it."""
        correlation = answer[:4]
        if correlation not in asked:
            return answer
        asked.discard(correlation)
        return answer.replace(_address(self.target), _address(self.port))


def _address(port: int) -> bytes:
    """A broker's address as it stands in an answer: the host, then the port as a big-endian int32."""
    return HOST.encode() + port.to_bytes(4, "big")


async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, change: Callable[[bytes], bytes]) -> None:
    try:
        while True:
            length = int.from_bytes(await source.readexactly(4), "big")
            body = change(await source.readexactly(length))
            sink.write(len(body).to_bytes(4, "big") + body)
            await sink.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        return  # a side hung up: the end of a connection, not an error


async def _until_stopped(port: int) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with kafka_broker(port) as url:
        print(url, flush=True)
        await stopped.wait()


def main() -> None:
    """Prints the broker's URL, then serves until it is told to stop."""
    parser = argparse.ArgumentParser(description="An in-memory Kafka broker on loopback.")
    parser.add_argument("--port", type=int, default=9092, help="port to listen on; 0 takes any free one")
    port = parser.parse_args().port
    try:
        asyncio.run(_until_stopped(port))
    except OSError as error:
        print(f"kafka: port {port} cannot be used ({error.strerror}). Stop what holds it.", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
