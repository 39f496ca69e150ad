"""A Redis, a broker and members of ingest as processes of their own, for the drill that kills them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
from kafka import KafkaConsumer, KafkaProducer
from kafka.structs import TopicPartition
from redis import Redis

from loadtests.ingest_events import Sent
from services.features.packing import VIEWS_KEY
from services.ingest.ledger import Ledger
from services.ingest.letters import Letter
from services.ingest.replay import letters_of
from services.runtime.errors import Unavailable
from services.runtime.eventlog import EVENTS
from services.runtime.settings import host_and_port
from services.runtime.stores import redis_server

GROUP = "drill"
DEADLINE_S = 120.0
"""How long anything may take."""
POLL_S = 0.05
STOP_S = 20.0
SESSION_S = 3.5
"""How long a killed member keeps its partitions."""

Member = subprocess.Popen[bytes]


class Rig:
    """The processes of one run."""

    def __init__(self, folder: Path, redis: Redis, redis_url: str, kafka_url: str) -> None:
        self.redis, self.lake = redis, folder / "lake"
        self._folder, self._redis_url, self._kafka_url = folder, redis_url, kafka_url
        host, port = host_and_port(kafka_url, "kafka", "kafka_url")
        common = {"bootstrap_servers": f"{host}:{port}", "api_version": (2, 0)}
        self._producer = KafkaProducer(**common, acks="all", linger_ms=5)
        self._offsets = KafkaConsumer(**common, group_id=GROUP, enable_auto_commit=False)
        self._sent = 0
        self._used: dict[int, float] = {}
        """Process -> CPU seconds when last asked."""
        self._members: list[Member] = []

    def start(self) -> Member:
        """Another member; it joins in its own time."""
        told = {
            "CASCADE_DATA_DIR": self._folder, "CASCADE_LOG_LEVEL": "ERROR",
            "CASCADE_REDIS_URL": self._redis_url, "CASCADE_KAFKA_URL": self._kafka_url,
            "CASCADE_INGEST_GROUP": GROUP, "CASCADE_INGEST_PORT": 0, "CASCADE_INGEST_SESSION_SECONDS": SESSION_S,
        }  # fmt: skip
        environment = os.environ | {name: str(value) for name, value in told.items()}
        with (self._folder / "ingest.log").open("ab") as output:
            member = subprocess.Popen(
                [sys.executable, "-m", "services.ingest"], env=environment, stdout=output, stderr=output
            )
        self._members.append(member)
        return member

    def wait_assigned(self, members: int) -> None:
        """Waits until so many members wait for records; a commit of an empty position is their sign."""
        self._until(lambda: len(self._committed()) == 4, f"{members} members that read")
        time.sleep(SESSION_S * (members - 1))  # a second member moves partitions once more

    def begin(self) -> tuple[float, float]:
        """(CPU seconds, clock) to count from."""
        return self._cpu(), time.monotonic()

    def used(self, begun: tuple[float, float]) -> tuple[float, float]:
        """(CPU seconds of all members, seconds) since `begin`."""
        return self._cpu() - begun[0], time.monotonic() - begun[1]

    def send(self, records: Sequence[Sent]) -> None:
        """Returns when the broker has them."""
        acks = [self._producer.send(EVENTS, key=r.key, value=r.value, headers=list(r.headers)) for r in records]
        for ack in acks:
            ack.get(DEADLINE_S)
        self._sent += len(records)

    def wait_behind(self, most: int) -> None:
        """Waits until ingest has `most` records at most left to commit."""
        self._until(lambda: self._sent - sum(self._committed().values()) <= most, "ingest to catch up")

    def wait_working(self) -> None:
        """Waits until a member folds."""
        before = self._folded()
        self._until(lambda: self._folded() > before, "ingest to fold")

    def kill(self, member: Member, after: float) -> None:
        """SIGKILL, some seconds from now."""
        time.sleep(after)
        self._cpu()
        member.kill()
        member.wait()

    def stop(self, member: Member) -> None:
        """SIGTERM; it writes what it holds."""
        member.terminate()
        member.wait(STOP_S)

    def letters(self) -> list[Letter]:
        """Every dead letter."""
        return letters_of(self._kafka_url)

    def close(self) -> None:
        for member in self._members:
            if member.poll() is None:
                member.kill()
                member.wait()
        self._producer.close(5)
        self._offsets.close(autocommit=False)

    def _cpu(self) -> float:
        for member in self._members:
            if member.poll() is None:
                times = psutil.Process(member.pid).cpu_times()
                self._used[member.pid] = times.user + times.system
        return sum(self._used.values())

    def _committed(self) -> dict[int, int]:
        found = {number: self._offsets.committed(TopicPartition(EVENTS, number)) for number in range(4)}
        return {number: offset for number, offset in found.items() if offset is not None}

    def _folded(self) -> int:
        keys: list[Any] = list(self.redis.scan_iter(f"{Ledger.PREFIX}features:*"))
        return sum(int(self.redis.scard(key)) for key in keys)  # type: ignore[arg-type, misc]  # the stub allows for a coroutine

    def _until(self, holds: Callable[[], bool], what: str) -> None:
        ends_at = time.monotonic() + DEADLINE_S
        while not holds():
            if time.monotonic() > ends_at:
                log = (self._folder / "ingest.log").read_text(errors="replace").strip().splitlines()
                last = log[-1] if log else "nothing"
                raise Unavailable(f"Waited {DEADLINE_S:g} s in vain for {what}; ingest said last: {last}")
            time.sleep(POLL_S)


@contextmanager
def rig(folder: Path) -> Iterator[Rig]:
    """Empty stores that know the feature definitions, for the length of the block."""
    from services.features.definitions import views  # Feast takes seconds

    with ExitStack() as stack:
        redis_url = stack.enter_context(redis_server(folder / "redis"))
        redis = stack.enter_context(closing(Redis.from_url(redis_url)))
        redis.hset(VIEWS_KEY, mapping={name: view.to_json() for name, view in views().items()})
        broker = subprocess.Popen(
            [sys.executable, "-m", "services.runtime.broker", "--port", "0"], stdout=subprocess.PIPE
        )
        stack.callback(broker.wait, STOP_S)
        stack.callback(broker.terminate)
        assert broker.stdout is not None
        stack.enter_context(closing(broker.stdout))
        kafka_url = broker.stdout.readline().decode().strip()
        if not kafka_url:
            raise Unavailable("The in-memory broker did not start.")
        yield stack.enter_context(closing(Rig(folder, redis, redis_url, kafka_url)))
