"""Records that wait on this gateway's disk while the event log is away: what was accepted is kept.

async with Spool.open(producer, data_dir / "spool.db", limit_bytes) as log:
    await log.append(records, timeout=1)     # returns when the event log, or else the disk, holds them

Once records wait, later ones queue up behind them, so that the log gets one user's records in their order. A record may
reach the log twice, when it was acknowledged too late to be noticed: consumers know it by its id.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self, TypeVar

from services.runtime.errors import SettingsError, Unavailable
from services.runtime.eventlog import EventLog, Record
from services.runtime.logs import get_logger
from services.runtime.metrics import SPOOL_RECORDS, SPOOLED

BATCH = 500
"""Records sent on together."""
SEND_SECONDS = 5.0
"""How long the event log may take for such a batch."""
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0
ROW_BYTES = 128
"""What a row weighs besides its value."""

T = TypeVar("T")
log = get_logger("spool")


class Spool:
    """An event log in front of another: straight through while that one answers, else by way of the disk."""

    def __init__(self, behind: EventLog, rows: Rows, limit_bytes: int) -> None:
        self._behind, self._rows, self._limit_bytes = behind, rows, limit_bytes
        # SQLite's connection belongs to one thread; fsync must not hold up the event loop.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._waiting, self._bytes = rows.weight()
        self._filled = asyncio.Event()
        if self._waiting:
            self._filled.set()
        self._tell()

    @classmethod
    @asynccontextmanager
    async def open(cls, behind: EventLog, path: Path, limit_bytes: int) -> AsyncIterator[Self]:
        """Sends on, in the background, what waits; what still waits when the block ends stays on the disk."""
        rows = Rows(path)
        spool = cls(behind, rows, limit_bytes)
        sending = asyncio.create_task(spool._send_forever())
        try:
            yield spool
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await asyncio.to_thread(spool._thread.shutdown)
            rows.close()

    @property
    def waiting(self) -> int:
        """Records on the disk."""
        return self._waiting

    async def append(self, records: Sequence[Record], *, timeout: float) -> None:
        """Returns when the records are kept: by the log within `timeout` seconds, else by the disk.

        Unavailable when the log is away and the disk is full.
        """
        if not self._waiting:
            try:
                await self._behind.append(records, timeout=timeout)
                return
            except Unavailable as error:
                log.warning("the event log is away; records wait on the disk", reason=error.sentence)
        await self._keep(records)

    async def _keep(self, records: Sequence[Record]) -> None:
        size = sum(len(record.value) + ROW_BYTES for record in records)
        if self._bytes + size > self._limit_bytes:
            raise Unavailable(
                f"The event log is away, and {self._waiting} records wait on the disk already "
                "(CASCADE_GATEWAY_SPOOL_BYTES bounds them)."
            )
        # Counted before the disk has them: from here on every record queues up behind these.
        self._count(len(records), size)
        try:
            await self._on_disk(lambda: self._rows.add(records))
        except sqlite3.Error as error:
            self._count(-len(records), -size)
            raise Unavailable(f"The event log is away, and the disk does not take the records: {error}.") from error
        SPOOLED.inc(len(records))
        self._filled.set()

    async def _send_forever(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            await self._filled.wait()
            try:
                await self._send_some()
            except (Unavailable, sqlite3.Error) as error:
                log.warning("records still wait", records=self._waiting, reason=str(error))
            except Exception:
                # A boundary: without this task nothing that waits would ever be sent.
                log.exception("records still wait", records=self._waiting)
            else:
                pause = FIRST_PAUSE_SECONDS
                continue
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _send_some(self) -> None:
        self._filled.clear()
        rows = await self._on_disk(lambda: self._rows.oldest(BATCH))
        if not rows:
            return
        self._filled.set()
        records = [record for _, record in rows]
        await self._behind.append(records, timeout=SEND_SECONDS)
        await self._on_disk(lambda: self._rows.remove_up_to(rows[-1][0]))
        self._count(-len(records), -sum(len(record.value) + ROW_BYTES for record in records))
        if not self._waiting:
            log.info("the event log has everything that waited")

    def _count(self, records: int, size: int) -> None:
        self._waiting += records
        self._bytes += size
        self._tell()

    def _tell(self) -> None:
        SPOOL_RECORDS.set(self._waiting)

    async def _on_disk(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


class Rows:
    """The file: a table in the order of arrival. A transaction is on the disk when it returns."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS records (place INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, "
                "key TEXT NOT NULL, value BLOB NOT NULL, traceparent TEXT NOT NULL)"
            )
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(
                f"The spool {path} cannot be opened ({error}). Set CASCADE_DATA_DIR to a folder that can be written, "
                "or move a damaged file away."
            ) from error

    def weight(self) -> tuple[int, int]:
        """(records, bytes)"""
        count, size = self._database.execute("SELECT COUNT(*), COALESCE(SUM(LENGTH(value)), 0) FROM records").fetchone()
        return int(count), int(size) + ROW_BYTES * int(count)

    def add(self, records: Sequence[Record]) -> None:
        """All of them or none."""
        rows = [(record.topic, record.key, record.value, record.traceparent) for record in records]
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT INTO records (topic, key, value, traceparent) VALUES (?, ?, ?, ?)", rows)

    def oldest(self, count: int) -> list[tuple[int, Record]]:
        """(place, record), first in first."""
        found = self._database.execute(
            "SELECT place, topic, key, value, traceparent FROM records ORDER BY place LIMIT ?", (count,)
        )
        return [(place, Record(topic, key, value, trace)) for place, topic, key, value, trace in found]

    def remove_up_to(self, place: int) -> None:
        """What the log holds now."""
        self._database.execute("DELETE FROM records WHERE place <= ?", (place,))

    def close(self) -> None:
        """Lets go of the file."""
        self._database.close()
