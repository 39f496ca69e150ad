"""Dead letters, tried again: from the beginning of their topic, each back to the topic it came from.

A replayed record that is rejected again becomes a letter with a higher attempt, and of all letters about the same bytes
only the one with the highest is replayed: whatever is replayed how often, a record comes back MAX_ATTEMPTS times.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from google.protobuf.message import DecodeError
from kafka import KafkaConsumer

from services.ingest.letters import Letter
from services.pb import events_pb2
from services.runtime.errors import Unavailable
from services.runtime.eventlog import CATALOG, DEAD_LETTERS, EVENTS, IMPRESSIONS, EventLogProducer, open_consumer
from services.runtime.logs import get_logger

log = get_logger("replay")

MAX_ATTEMPTS = 5
"""Replays of one record, after which it stays where it is."""
BATCH = 200
"""Records appended together."""
APPEND_SECONDS = 10.0
READ_TOPICS = frozenset({EVENTS, IMPRESSIONS, CATALOG})
"""Where records may be sent back to."""
QUIET_SECONDS = 30.0
"""How long the log may stay silent before the reading is given up."""


def replayable(url: str) -> Iterator[Letter]:
    """The letters worth another try, oldest first within a partition, each record's newest letter once.

    Reads the topic twice, so that memory holds a digest for each letter and never the letters. Unavailable when the
    log does not answer.
    """
    newest: dict[bytes, int] = {}
    with closing(_Topic(url)) as topic:
        for letter in topic.letters():
            digest = _digest(letter)
            newest[digest] = max(letter.attempt, newest.get(digest, 0))
        for letter in topic.letters():
            if newest.get(_digest(letter), -1) == letter.attempt:
                del newest[_digest(letter)]
                if letter.attempt < MAX_ATTEMPTS and letter.is_whole and letter.message.topic in READ_TOPICS:
                    yield letter


def letters_of(url: str) -> list[Letter]:
    """Every letter, doubles included. Unavailable when the log does not answer."""
    with closing(_Topic(url)) as topic:
        return list(topic.letters())


async def replay(url: str, letters: Iterator[Letter]) -> int:
    """Appends the records behind the letters to their topics; returns how many the log has acknowledged."""
    producer, sent = EventLogProducer(url), 0
    try:
        while batch := [letter for _, letter in zip(range(BATCH), letters, strict=False)]:
            await producer.append([letter.again() for letter in batch], timeout=APPEND_SECONDS)
            sent += len(batch)
    finally:
        await producer.close()
    return sent


def _digest(letter: Letter) -> bytes:
    """Of what was rejected; a record that is replayed keeps it, though it gets another offset."""
    text = letter.message.topic.encode() + b"\0" + letter.message.value
    return hashlib.blake2b(text, digest_size=16).digest()


class _Topic:
    """The topic of dead letters up to where it ended when the reading began; nothing is committed."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Without a group it has every partition and commits nothing: two runs at once do not share the letters.
        self._consumer: KafkaConsumer = open_consumer(url, "", [DEAD_LETTERS], {"group_id": None})
        self._ends: dict[Any, int] = {}

    def letters(self) -> Iterator[Letter]:
        """Every letter from the beginning."""
        quiet_since, begun = time.monotonic(), False
        while not begun or any(self._consumer.position(at) < end for at, end in self._ends.items()):
            polled: dict[Any, list[Any]] = self._consumer.poll(timeout_ms=200)
            if not begun and (assigned := self._consumer.assignment()):
                self._ends = self._ends or dict(self._consumer.end_offsets(assigned))
                self._consumer.seek_to_beginning(*assigned)
                begun, polled = True, {}
            if polled:
                quiet_since = time.monotonic()
            elif time.monotonic() - quiet_since > QUIET_SECONDS:
                raise Unavailable(f"The event log at {self._url} did not answer for {QUIET_SECONDS:g} s.")
            for partition, records in polled.items():
                yield from _letters(record for record in records if record.offset < self._ends[partition])

    def close(self) -> None:
        self._consumer.close(autocommit=False)


def _letters(records: Iterable[Any]) -> Iterator[Letter]:
    for record in records:
        try:
            yield Letter(events_pb2.DeadLetter.FromString(record.value or b""), record.headers)
        except (DecodeError, UnicodeDecodeError) as error:
            log.warning("no letter", partition=record.partition, offset=record.offset, reason=str(error))
