"""What was accepted while the event log was away reaches it, once and in order, whatever happens in between."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import uuid4

import pytest

from services.gateway.spool import ROW_BYTES, Spool
from services.pb import events_pb2
from services.runtime.errors import SettingsError, Unavailable
from services.runtime.eventlog import Record
from tests.gateway.conftest import Opened
from tests.gateway.log_reader import consumed
from tests.kafka_fixture import running_broker

ROOM = 1 << 20
DEADLINE = 20.0


class Flaky:
    """A peer that is broken until it is told to work; it keeps what it took."""

    def __init__(self, works: bool = False) -> None:
        self.works = works
        self.taken: list[Record] = []
        self.asked = asyncio.Event()

    async def append(self, records: Sequence[Record], *, timeout: float) -> None:
        self.asked.set()
        if not self.works:
            raise Unavailable("The event log is away.")
        self.taken += records


def record(number: int) -> Record:
    return Record("events", str(number % 3), b"value %d" % number, traceparent=f"trace {number}")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def test_a_log_that_answers_is_written_straight_through(tmp_path: Path) -> None:
    log = Flaky(works=True)
    async with Spool.open(log, tmp_path / "spool.db", ROOM) as spool:
        await spool.append([record(1), record(2)], timeout=1)
        assert (log.taken, spool.waiting) == ([record(1), record(2)], 0)


async def test_what_waits_arrives_whole_and_in_order_and_later_records_queue_up_behind(tmp_path: Path) -> None:
    log, count = Flaky(), 1234
    async with Spool.open(log, tmp_path / "spool.db", ROOM) as spool:
        for number in range(count):
            await spool.append([record(number)], timeout=1)
        assert spool.waiting == count
        log.works = True
        await spool.append([record(count)], timeout=1)
        await until(lambda: not spool.waiting)
        await spool.append([record(count + 1)], timeout=1)
    assert log.taken == [record(number) for number in range(count + 2)]


async def test_what_waits_survives_the_process(tmp_path: Path) -> None:
    async with Spool.open(Flaky(), tmp_path / "spool.db", ROOM) as spool:
        await spool.append([record(1), record(2)], timeout=1)
    log = Flaky(works=True)
    async with Spool.open(log, tmp_path / "spool.db", ROOM) as spool:
        await until(lambda: not spool.waiting)
    assert log.taken == [record(1), record(2)]


async def test_the_disk_has_a_record_before_it_is_accepted(tmp_path: Path) -> None:
    async with Spool.open(Flaky(), tmp_path / "spool.db", ROOM) as spool:
        await spool.append([record(7)], timeout=1)
        with sqlite3.connect(tmp_path / "spool.db") as other:
            assert other.execute("SELECT topic, key, value, traceparent FROM records").fetchall() == [
                ("events", "1", b"value 7", "trace 7")
            ]
        other.close()


async def test_a_full_spool_refuses_and_takes_again_once_it_is_sent(tmp_path: Path) -> None:
    log, size = Flaky(), len(record(1).value) + ROW_BYTES
    async with Spool.open(log, tmp_path / "spool.db", 2 * size) as spool:
        await spool.append([record(1), record(2)], timeout=1)
        with pytest.raises(Unavailable, match="2 records wait on the disk already"):
            await spool.append([record(3)], timeout=1)
        log.works = True
        await until(lambda: not spool.waiting)
        log.works = False
        await spool.append([record(4)], timeout=1)
        assert spool.waiting == 1


async def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "spool.db").write_bytes(b"not a database" * 1000)
    with pytest.raises(SettingsError, match=r"spool\.db cannot be opened"):
        async with Spool.open(Flaky(), tmp_path / "spool.db", ROOM):
            pass


@pytest.mark.usefixtures("leftovers")
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning")
async def test_events_posted_while_kafka_is_away_are_accepted_and_reach_it_even_after_a_restart_of_the_gateway(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("CRITICAL", "kafka")
    posted = [f"away-{uuid4()}" for _ in range(20)]
    with running_broker() as url:
        pass
    async with opened(kafka_url=url, append_ms=300) as client:
        for event_id in posted:
            event = {"event_id": event_id, "type": "watch", "user_id": "5", "item_id": "318"}
            assert (await client.post("/v1/events", json={"events": [event]})).status_code == 202
            answer = (await client.post("/v1/recommendations", json={"user_id": "5", "n": 3})).json()
            assert answer["served_by"] == "fresh"
    with running_broker(int(url.rsplit(":", 1)[1])):
        async with opened(kafka_url=url):
            found = await asyncio.to_thread(
                consumed, url, "events", events_pb2.Event, lambda event: event.event_id in posted, len(posted)
            )
    assert [message.event_id for _, message in found] == posted
