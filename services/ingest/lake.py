"""The Parquet lake as ingest appends to it: whole files by atomic rename, each record once.

    lake/events/date=2026-01-31/…-….parquet    impressions/ and catalog/ likewise

A file is written, then its records are marked in the ledger, then their offsets are committed. When the process dies
after the rename the newest files tell what the ledger does not know yet: `recover` marks that before anything is read.
"""

from __future__ import annotations

import heapq
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from redis import Redis

from services.ingest.ledger import Ledger
from services.ingest.records import Batch
from services.ingest.tables import catalog_table, events_table, impressions_table

NEWEST_FILES = 64
"""Files of each kind that `recover` reads; one flush writes far fewer."""
STALE_DRAFT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Kind:
    """A folder of the lake."""

    folder: str
    key: str
    """Column and message field of the idempotence key."""
    table: Callable[[Sequence[Any]], pa.Table]

    def ledger_keys(self, keys: Iterable[str]) -> list[str]:
        return [f"{self.folder}:{key}" for key in keys]


KINDS = (
    Kind("events", "event_id", events_table),
    Kind("impressions", "recommendation_id", impressions_table),
    Kind("catalog", "change_id", catalog_table),
)


class Lake:
    """Gathers records and appends them. An OSError or RedisError leaves everything gathered: flush again."""

    def __init__(self, root: Path, redis: Redis) -> None:
        self._root = root
        self._redis = redis
        self._ledger = Ledger("lake")
        self._gathered: dict[str, dict[str, Any]] = {kind.folder: {} for kind in KINDS}
        self._unmarked: list[str] = []
        """Ledger keys of records that are in a file while the ledger does not know it yet."""
        self._since: float | None = None

    @property
    def rows(self) -> int:
        """Records gathered and not yet in a file."""
        return sum(map(len, self._gathered.values()))

    def waited(self) -> float:
        """Seconds since the oldest gathered record came, 0 when there is none."""
        return time.monotonic() - self._since if self._since is not None else 0.0

    def add(self, batch: Batch) -> None:
        """Gathers a batch; a key that is gathered already keeps its first record."""
        by_kind: tuple[Sequence[Any], ...] = (batch.events, batch.impressions, batch.changes)
        for kind, records in zip(KINDS, by_kind, strict=True):
            gathered = self._gathered[kind.folder]
            for record in records:
                gathered.setdefault(getattr(record, kind.key), record)
        if self.rows and self._since is None:
            self._since = time.monotonic()

    def flush(self) -> int:
        """Writes what was gathered and is not in the lake yet; returns the records written. Durable on return."""
        self._mark_written()
        written = sum(self._flush_kind(kind) for kind in KINDS)
        self._since = None
        return written

    def recover(self) -> None:
        """Marks the records of the newest files, and removes drafts that a dead process left behind."""
        for kind in KINDS:
            for path in heapq.nlargest(NEWEST_FILES, self._files(kind, ".parquet"), key=lambda path: path.name):
                keys = pq.read_table(path, columns=[kind.key], partitioning=None)[kind.key].unique().to_pylist()
                self._unmarked += kind.ledger_keys(keys)
            self._mark_written()
            for draft in self._files(kind, ".draft"):
                with suppress(FileNotFoundError):
                    if time.time() - draft.stat().st_mtime > STALE_DRAFT_SECONDS:
                        draft.unlink()

    def _flush_kind(self, kind: Kind) -> int:
        gathered = self._gathered[kind.folder]
        unknown = self._ledger.unknown(self._redis, kind.ledger_keys(gathered))
        for key, is_new in zip(list(gathered), unknown, strict=True):
            if not is_new:
                del gathered[key]
        written = len(gathered)
        for day, keys in _by_day(gathered).items():
            _write_file(kind.table([gathered[key] for key in keys]), self._root / kind.folder / f"date={day}")
            for key in keys:
                del gathered[key]
            self._unmarked += kind.ledger_keys(keys)
            self._mark_written()
        return written

    def _mark_written(self) -> None:
        self._ledger.mark(self._redis, self._unmarked)
        self._unmarked.clear()

    def _files(self, kind: Kind, suffix: str) -> Iterator[Path]:
        for day in (self._root / kind.folder).glob("date=*"):
            for entry in os.scandir(day):
                if entry.name.endswith(suffix):
                    yield Path(entry.path)


def _by_day(records: Mapping[str, Any]) -> dict[str, list[str]]:
    """Keys of the records of each UTC day."""
    days: dict[str, list[str]] = {}
    for key, record in records.items():
        day = datetime.fromtimestamp(record.ts_us // 1_000_000, UTC).date().isoformat()
        days.setdefault(day, []).append(key)
    return days


def _write_file(table: pa.Table, folder: Path) -> None:
    """One file whose name sorts by time, there whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{time.time_ns() // 1_000_000:013d}-{uuid.uuid4().hex[:12]}.parquet"
    draft = folder / f".{name}.draft"
    try:
        with draft.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, folder / name)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    """Makes a rename survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
