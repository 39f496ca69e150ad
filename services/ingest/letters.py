"""Dead letters: what could not be read, written so that a reader can tell each from its double and try it again.

The key of a letter is "topic/partition/offset" of the record it is about: a letter that was written twice, because a
process died before its offsets were committed, has the same key both times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.ingest.versions import SCHEMA, UPCASTERS
from services.pb import events_pb2
from services.runtime.eventlog import DEAD_LETTERS, SCHEMA_VERSION, Record

ATTEMPT = "attempt"
"""Header of a record that was replayed, and of the letter it became when it was rejected again: how often so far."""
ORIGINAL_SCHEMA = "original-schema"
"""Header of a letter: the schema version that its record named."""
CUT = "cut"
"""Header of a letter whose record was too long to be kept whole; such a record cannot be replayed."""
LONGEST_VALUE = 900_000
"""Bytes of a value that are kept: brokers refuse records of more than a megabyte."""
PORTION_BYTES = 4_000_000
"""Records appended together; the producer's own buffer holds a few times as much."""
LONGEST_VERSION = 32
"""Bytes of a version that are kept; a stranger's header may hold anything."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A rejected record, or one that was read back."""

    message: events_pb2.DeadLetter
    headers: Sequence[tuple[str, bytes]] = ()
    """Those of the rejected record; of a letter that was read back, those of the letter."""

    @property
    def attempt(self) -> int:
        """How often the record was replayed."""
        number = dict(self.headers).get(ATTEMPT, b"0")
        return int(number) if number.isdigit() and len(number) < 4 else 0

    @property
    def key(self) -> str:
        """What tells it from other letters."""
        return f"{self.message.topic}/{self.message.partition}/{self.message.offset}"

    @property
    def is_whole(self) -> bool:
        """False when bytes are missing."""
        return CUT not in dict(self.headers)

    def record(self) -> Record:
        """The letter as the log takes it."""
        headers = [(ATTEMPT, b"%d" % self.attempt)]
        versions = [content[:LONGEST_VERSION] for name, content in self.headers if name == SCHEMA]
        headers += [(ORIGINAL_SCHEMA, version) for version in versions[:1]]
        message = self.message
        if len(message.value) > LONGEST_VALUE:
            message = events_pb2.DeadLetter()
            message.CopyFrom(self.message)
            message.value = message.value[:LONGEST_VALUE]
            headers.append((CUT, b"%d" % len(self.message.value)))
        return Record(DEAD_LETTERS, self.key, message.SerializeToString(), headers=tuple(headers))

    def again(self) -> Record:
        """The rejected record, for its own topic: the original bytes under the version they were written in, or the
        current one where that is not read.
        """
        named = dict(self.headers).get(ORIGINAL_SCHEMA, b"")
        headers = ((SCHEMA, named if named in UPCASTERS else SCHEMA_VERSION), (ATTEMPT, b"%d" % (self.attempt + 1)))
        key = self.message.key.decode("utf-8", "replace")
        return Record(self.message.topic, key, self.message.value, headers=headers)


def portions(records: Sequence[Record]) -> Iterator[list[Record]]:
    """The records in their order, in lists of PORTION_BYTES or of one record."""
    portion: list[Record] = []
    weight = 0
    for record in records:
        if portion and weight + len(record.value) > PORTION_BYTES:
            yield portion
            portion, weight = [], 0
        portion.append(record)
        weight += len(record.value)
    if portion:
        yield portion
