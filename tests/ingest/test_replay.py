"""Dead letters that are tried again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.ingest.commands import main
from services.ingest.letters import LONGEST_VALUE, PORTION_BYTES, Letter, portions
from services.ingest.records import Malformed, read, read_batch
from services.ingest.replay import MAX_ATTEMPTS, replay, replayable
from services.ingest.versions import UPCASTERS
from services.pb import events_pb2
from services.runtime.eventlog import EventLogProducer
from tests.ingest.log import event, read_log
from tests.ingest.test_records import NOW_US, Raw


async def write(url: str, *letters: Letter) -> None:
    producer = EventLogProducer(url)
    await producer.append([letter.record() for letter in letters], timeout=10)
    await producer.close()


def letter(value: bytes, offset: int = 1, topic: str = "events", **headers: bytes) -> Letter:
    message = events_pb2.DeadLetter(topic=topic, partition=0, offset=offset, reason="No.", key=b"7", value=value)
    return Letter(message, tuple(headers.items()))


def sent(url: str, count: int, topic: str = "events") -> list[Any]:
    """The first records of a topic."""
    return read_log(url, count, topic)


async def test_the_original_bytes_come_back_to_their_topic_as_a_fixed_reader_wants_them(broker: str) -> None:
    good = event()
    await write(broker, letter(good.SerializeToString(), schema=b"9"))
    assert await replay(broker, replayable(broker)) == 1
    record = sent(broker, 1)[0]
    assert (record.key, dict(record.headers)["attempt"]) == (b"7", b"1")
    assert read(record.topic, record.headers, record.value, NOW_US) == good


async def test_a_letter_written_twice_is_replayed_once(broker: str) -> None:
    await write(broker, letter(b"bad"), letter(b"bad"), letter(b"worse", offset=2))
    assert sorted(found.message.value for found in replayable(broker)) == [b"bad", b"worse"]


async def test_a_record_that_is_rejected_again_and_again_comes_back_so_often_and_no_more(broker: str) -> None:
    await write(broker, letter(b"bad"))
    for run in range(MAX_ATTEMPTS + 2):
        sent_back = [found.again() for found in replayable(broker)]
        assert len(sent_back) == (1 if run < MAX_ATTEMPTS else 0), run
        again = read_batch(Raw(record.value, headers=record.headers, offset=10 + run) for record in sent_back)
        await write(broker, *again.rejected)


async def test_what_no_reader_takes_is_left_alone(broker: str) -> None:
    await write(broker, letter(b"bad", topic="elsewhere"), letter(b"x" * (LONGEST_VALUE + 1), offset=2))
    assert list(replayable(broker)) == []


async def test_the_version_is_kept_when_it_is_read_and_else_the_current_one(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(UPCASTERS, b"0", lambda topic, value: value)
    await write(broker, letter(b"a", schema=b"0"), letter(b"b", offset=2, schema=b"9"), letter(b"c", offset=3))
    found = {again.value: dict(again.headers)["schema"] for again in (one.again() for one in replayable(broker))}
    assert found == {b"a": b"0", b"b": b"1", b"c": b"1"}


async def test_a_record_too_long_for_a_letter_does_not_hold_up_the_rest(broker: str) -> None:
    batch = read_batch([Raw(b"\xff" * 1_040_000)])
    await write(broker, *batch.rejected)
    record = sent(broker, 1, "dead-letters")[0]
    assert dict(record.headers)["cut"] == b"1040000"
    assert len(events_pb2.DeadLetter.FromString(record.value).value) == LONGEST_VALUE


async def test_the_command_lists_or_sends_as_many_as_it_is_told(
    broker: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await write(broker, *(letter(b"bad %d" % number, offset=number) for number in range(3)))
    monkeypatch.setenv("CASCADE_KAFKA_URL", broker)

    async def told(*arguments: str) -> str:
        await asyncio.to_thread(main, ["replay-dead-letters", *arguments])  # the command has a loop of its own
        return capsys.readouterr().out

    listed = await told("--dry-run")
    assert listed.count("No.") == 3
    assert "events" in listed
    assert (await told("--limit", "2")).startswith("2 records were sent back")
    assert len(sent(broker, 2)) == 2


def test_letters_go_out_in_portions_that_a_client_can_hold() -> None:
    records = [letter(b"x" * 900_000, offset=number).record() for number in range(10)]
    sizes = [sum(len(record.value) for record in portion) for portion in portions(records)]
    assert max(sizes) <= PORTION_BYTES
    assert [record for portion in portions(records) for record in portion] == records


def test_a_strangers_attempt_header_counts_as_none() -> None:
    assert [letter(b"", attempt=text).attempt for text in (b"3", b"-1", b"many", b"9" * 40)] == [3, 0, 0, 0]


def test_malformed_is_still_malformed_after_a_replay() -> None:
    again = letter(b"\xff").again()
    with pytest.raises(Malformed):
        read(again.topic, again.headers, again.value, NOW_US)
