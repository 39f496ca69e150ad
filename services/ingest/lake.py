"""The Parquet lake as ingest appends to it: whole files by atomic rename, each record once.

    lake/events/date=2026-01-31/…-….parquet    impressions/ and catalog/ likewise

A file is written, then its records are marked in the ledger, then their offsets are committed. When the process dies
after the rename the newest files tell what the ledger does not know yet: `recover` marks that before anything is read.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from redis import Redis

from services.ingest.files import files_of, level_of, new_name, remove_stale_drafts, write_file
from services.ingest.kinds import KINDS, Kind
from services.ingest.ledger import Ledger
from services.ingest.records import Batch

NEWEST_FILES = 64
"""Files of each kind that `recover` reads; one flush writes far fewer. Merged files are left out: whoever merges marks
their records first.
"""


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
        self._bytes = 0
        self._written_to: set[Path] = set()

    @property
    def rows(self) -> int:
        """Records gathered and not yet in a file."""
        return sum(map(len, self._gathered.values()))

    @property
    def bytes(self) -> int:
        """What was gathered since the last flush weighs, as it came from the log."""
        return self._bytes

    def waited(self) -> float:
        """Seconds since the oldest gathered record came, 0 when there is none."""
        return time.monotonic() - self._since if self._since is not None else 0.0

    def add(self, batch: Batch) -> None:
        """Gathers a batch; a key that is gathered already keeps its first record."""
        by_kind: tuple[Sequence[Any], ...] = (batch.events, batch.impressions, batch.changes)
        for kind, records in zip(KINDS, by_kind, strict=True):
            gathered = self._gathered[kind.folder]
            for record in records:
                if (key := getattr(record, kind.key)) not in gathered:
                    gathered[key] = record
                    self._bytes += record.ByteSize()
        if self.rows and self._since is None:
            self._since = time.monotonic()

    def flush(self) -> int:
        """Writes what was gathered and is not in the lake yet; returns the records written. Durable on return."""
        self._mark_written()
        written = sum(self._flush_kind(kind) for kind in KINDS)
        self._since, self._bytes = None, 0
        return written

    def written_to(self) -> list[Path]:
        """The days that got files since this was last asked."""
        days, self._written_to = sorted(self._written_to), set()
        return days

    def recover(self) -> None:
        """Marks the records of the newest files, and removes drafts that a dead process left behind."""
        for kind in KINDS:
            folder = self._root / kind.folder
            unmerged = (path for path in files_of(folder, ".parquet") if not level_of(path))
            for path in heapq.nlargest(NEWEST_FILES, unmerged, key=lambda path: path.name):
                with suppress(FileNotFoundError):  # merged by somebody else meanwhile, and so marked
                    keys = pq.read_table(path, columns=[kind.key], partitioning=None)[kind.key].unique().to_pylist()
                    self._unmarked += kind.ledger_keys(keys)
            self._mark_written()
            remove_stale_drafts(folder)

    def _flush_kind(self, kind: Kind) -> int:
        gathered = self._gathered[kind.folder]
        unknown = self._ledger.unknown(self._redis, kind.ledger_keys(gathered))
        for key, is_new in zip(list(gathered), unknown, strict=True):
            if not is_new:
                del gathered[key]
        written = len(gathered)
        for day, keys in _by_day(gathered).items():
            folder = self._root / kind.folder / f"date={day}"
            write_file(kind.table([gathered[key] for key in keys]), folder / new_name())
            self._written_to.add(folder)
            for key in keys:
                del gathered[key]
            self._unmarked += kind.ledger_keys(keys)
            self._mark_written()
        return written

    def _mark_written(self) -> None:
        self._ledger.mark(self._redis, self._unmarked)
        self._unmarked.clear()


def _by_day(records: Mapping[str, Any]) -> dict[str, list[str]]:
    """Keys of the records of each UTC day."""
    days: dict[str, list[str]] = {}
    for key, record in records.items():
        day = datetime.fromtimestamp(record.ts_us // 1_000_000, UTC).date().isoformat()
        days.setdefault(day, []).append(key)
    return days
