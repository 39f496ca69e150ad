"""The loop: poll, fold into the online store, gather for the lake, flush, commit.

Offsets are committed when both sinks hold what lies before them. A failing sink is tried again with the same records,
so an outage delays and loses nothing; an error of the broker sends the loop back to polling.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata
from redis import RedisError

from services.ingest.assignments import Assignments
from services.ingest.attribution import Attribution
from services.ingest.compaction import Compaction
from services.ingest.lake import Lake
from services.ingest.letters import Letter, portions
from services.ingest.online import OnlineWriter
from services.ingest.records import Batch, read_batch
from services.ingest.settings import IngestSettings
from services.ingest.traced import BatchTraces
from services.pb import events_pb2
from services.runtime.errors import Unavailable
from services.runtime.eventlog import EventLogProducer
from services.runtime.logs import get_logger
from services.runtime.metrics import (
    CONSUMER_LAG,
    EVENT_LAG_SECONDS,
    EVENTS,
    LAKE_FLUSH_SECONDS,
    LAKE_ROWS,
    NEWEST_EVENT,
)

log = get_logger("ingest")
T = TypeVar("T")

POLL_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
DEAD_LETTER_SECONDS = 10.0
CLOSE_MS = 2000
FIRST_PATIENCE_SECONDS = 20.0
"""How long to be without partitions before joining anew; longer than a dead member keeps its own."""
LONGEST_PATIENCE_SECONDS = 320.0
"""Where there are more members than partitions, somebody is left out for good reason."""
LAG_SECONDS = 1.0
"""How often the distance to the end of the log is told."""
OUTAGES = (RedisError, KafkaError, OSError, Unavailable)
"""What a sink raises when it is away, full or contended."""


class Abandoned(Exception):
    """A sink stayed away until the process had to end."""


class Consumer:
    """Runs in a thread of its own until it is stopped; `run` ends then, or raises what it cannot handle."""

    def __init__(
        self,
        open_log: Callable[[Assignments], Any],
        online: OnlineWriter,
        lake: Lake,
        compaction: Compaction,
        dead_letters: EventLogProducer,
        settings: IngestSettings,
    ) -> None:
        self._assignments = Assignments()
        self._open_log = lambda: open_log(self._assignments)
        self._online = online
        self._lake = lake
        self._compaction = compaction
        self._dead_letters = dead_letters
        self._settings = settings
        self._log: Any = None
        self._attribution = Attribution()
        self._traces = BatchTraces(settings.group)
        self._newest_us = 0
        self._lag_told_at = 0.0
        self._positions: dict[Any, int] = {}
        """Partition -> offset after the last record that is folded and gathered."""
        self._committed: dict[Any, int] = {}
        self._assigned: set[Any] = set()
        self._last_assigned_at = time.monotonic()
        self._patience = FIRST_PATIENCE_SECONDS
        self._flush_not_before = 0.0
        self._stopped = threading.Event()
        self._drain_until = 0.0

    def stop(self, drain_seconds: float) -> None:
        """Asks `run` to end: what the log holds already is read first, for `drain_seconds` at most."""
        self._drain_until = time.monotonic() + drain_seconds
        self._stopped.set()

    def run(self) -> None:
        """Consumes until stopped, then flushes, commits and leaves the group."""
        try:
            self._log = self._until_done(self._open_log, "The event log cannot be opened")
            while not self._stopped.is_set():
                self._step()
            while time.monotonic() < self._drain_until and self._step():
                pass
            self._flush()
        except Abandoned:
            log.warning("stopped before everything was written; the log delivers it again")
        finally:
            if self._log is not None:
                self._log.close(autocommit=False, timeout_ms=CLOSE_MS)

    def _step(self) -> bool:
        """One poll and what follows from it; False when the log had nothing new."""
        if self._lake_is_full() and not self._flush():
            time.sleep(POLL_SECONDS)
            return True
        polled = self._poll()
        if self._assignments.pending:
            self._go_on_from_committed()
            return True
        self._follow_assignment()
        if polled:
            self._traces.polled(record for records in polled.values() for record in records)
            self._take(read_batch(record for records in polled.values() for record in records))
            self._positions |= {partition: records[-1].offset + 1 for partition, records in polled.items()}
        self._tell_lag()
        if self._lake.waited() >= self._settings.lake_seconds:
            self._flush()
        elif not self._lake.rows:
            self._commit()
        return bool(polled)

    def _lake_is_full(self) -> bool:
        return self._lake.rows >= self._settings.lake_rows or self._lake.bytes >= self._settings.lake_bytes

    def _poll(self) -> dict[Any, list[Any]]:
        try:
            polled: dict[Any, list[Any]] = self._log.poll(
                timeout_ms=int(POLL_SECONDS * 1000), max_records=self._settings.batch_records
            )
        except KafkaError as error:
            # A member that meets a rebalance is told so by an error; whoever polls again is taken in again.
            log.info("polling again", reason=repr(error))
            time.sleep(POLL_SECONDS)
            return {}
        return polled

    def _go_on_from_committed(self) -> None:
        """A member that joined, also one that joined again, knows of no position but what the group committed."""
        self._positions, self._committed = {}, {}
        try:
            self._assignments.settle(self._log)
        except KafkaError as error:
            log.info("asking again for the committed offsets", reason=repr(error))
            time.sleep(POLL_SECONDS)

    def _follow_assignment(self) -> None:
        """New partitions may come from a process that died between a file and its offsets."""
        assigned = set(self._log.assignment())
        if assigned - self._assigned:
            self._until_done(self._lake.recover, "The newest files of the lake cannot be read")
            log.info("reading", partitions=len(assigned))
        self._assigned = assigned
        self._rejoin_when_left_out(bool(assigned))
        self._positions = {partition: at for partition, at in self._positions.items() if partition in assigned}

    def _rejoin_when_left_out(self, assigned: bool) -> None:
        """A leader that joins before it knows the topics' partitions hands out none, and nothing would change that."""
        now = time.monotonic()
        if assigned:
            self._last_assigned_at, self._patience = now, FIRST_PATIENCE_SECONDS
        elif now - self._last_assigned_at > self._patience:
            log.warning("no partitions were assigned; joining anew", after_seconds=round(self._patience))
            self._patience = min(2 * self._patience, LONGEST_PATIENCE_SECONDS)
            self._reopen()
            self._last_assigned_at = time.monotonic()

    def _take(self, batch: Batch) -> None:
        if batch.rejected:
            self._until_done(lambda: self._bury(batch.rejected), "Dead letters cannot be written")
            EVENTS.labels("rejected").inc(len(batch.rejected))
        started_ns = time.time_ns()
        new = self._until_done(lambda: self._online.write(batch.events, batch.changes), "Features cannot be written")
        self._traces.folded(started_ns, len(batch.events) + len(batch.impressions) + len(batch.changes))
        self._attribution.shown(batch.impressions)
        self._attribution.reacted(new)
        self._tell_events(new, len(batch.events))
        self._lake.add(batch)

    def _tell_events(self, new: Sequence[events_pb2.Event], read: int) -> None:
        now_us = time.time_ns() // 1000
        for event in new:
            if event.received_us:
                EVENT_LAG_SECONDS.observe((now_us - event.received_us) / 1e6)
                self._newest_us = max(self._newest_us, event.received_us)
        if self._newest_us:
            NEWEST_EVENT.set(self._newest_us / 1e6)
        EVENTS.labels("written").inc(len(new))
        EVENTS.labels("duplicate").inc(read - len(new))

    def _tell_lag(self) -> None:
        """What lies between here and the end of the log, by what the last fetches said of it; once a second."""
        now = time.monotonic()
        if now - self._lag_told_at < LAG_SECONDS:
            return
        self._lag_told_at = now
        behind = {partition.topic: 0 for partition in self._positions}
        for partition, position in self._positions.items():
            behind[partition.topic] += max(0, (self._log.highwater(partition) or 0) - position)
        for topic, records in behind.items():
            CONSUMER_LAG.labels(topic).set(records)

    def _bury(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            message = letter.message
            log.warning("dead letter", topic=message.topic, offset=message.offset, reason=message.reason)
        for portion in portions([letter.record() for letter in letters]):
            asyncio.run(self._dead_letters.append(portion, timeout=DEAD_LETTER_SECONDS))

    def _flush(self) -> bool:
        """Appends to the lake and commits; False when the lake cannot be written now, to be tried again."""
        if time.monotonic() < self._flush_not_before:
            return False
        started_ns = time.time_ns()
        try:
            rows = self._lake.flush()
        except OUTAGES as error:
            log.error("The lake cannot be written; nothing is lost, trying again.", reason=str(error))
            self._flush_not_before = time.monotonic() + LONGEST_PAUSE_SECONDS
            return False
        if rows:
            LAKE_ROWS.inc(rows)
            LAKE_FLUSH_SECONDS.observe((time.time_ns() - started_ns) / 1e9)
        self._traces.flushed(started_ns)
        self._commit()
        if rows:
            self._compact()
        return True

    def _compact(self) -> None:
        """Merges some of the small files, now that nothing waits for them; what fails is left for the next flush."""
        try:
            done = self._compaction.run(self._lake.written_to())
        except OUTAGES as error:
            log.warning("small files were not merged", reason=str(error))
            return
        if done.merges:
            log.info("merged", sources=done.sources, deleted=done.deleted)

    def _commit(self) -> None:
        """Commits what both sinks hold; after a failure the log delivers again what was not committed."""
        if not self._positions or self._positions == self._committed:
            return
        offsets = {partition: OffsetAndMetadata(place, "", -1) for partition, place in self._positions.items()}
        try:
            self._log.commit(offsets, timeout_ms=5000)
            self._committed = dict(self._positions)
        except KafkaError as error:
            log.info("offsets not committed", reason=repr(error))

    def _reopen(self) -> None:
        """Leaves the group and joins it as a new member."""
        self._log.close(autocommit=False, timeout_ms=CLOSE_MS)
        self._assigned, self._positions, self._committed = set(), {}, {}
        self._log = self._until_done(self._open_log, "The event log cannot be opened")

    def _until_done(self, action: Callable[[], T], complaint: str) -> T:
        """The result of `action`, tried again while a sink is away; Abandoned when that outlasts a stop."""
        pause = 0.05
        while True:
            try:
                return action()
            except OUTAGES as error:
                log.error(f"{complaint}; trying again.", reason=str(error))
            if self._stopped.is_set() and time.monotonic() + pause > self._drain_until:
                raise Abandoned
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
