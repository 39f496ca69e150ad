"""How much came into the lake since a moment, counted from what Parquet files say of themselves.

    arrivals.since("impressions", us)       # rows: shown items

A file of the lake never changes, so its statistics are read once. Only a file that lies across the moment has its times
read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

TIME = "ts"


@dataclass(frozen=True, slots=True)
class _File:
    """Rows, and times in microseconds since 1970."""

    rows: int
    oldest_us: int
    newest_us: int


class Arrivals:
    """The live records of a lake. Not for several threads at once."""

    def __init__(self, lake: Path) -> None:
        self._lake = lake
        self._files: dict[str, dict[Path, _File]] = {}

    def since(self, kind: str, us: int) -> int:
        """Rows of `kind` (impressions or events) with a time after `us`, microseconds since 1970."""
        return sum(self._later(path, file, us) for path, file in self._known(kind, us).items())

    def newest(self, kind: str, us: int) -> int:
        """The newest time after `us`; `us` when nothing is newer."""
        return max((file.newest_us for file in self._known(kind, us).values()), default=us)

    def _known(self, kind: str, us: int) -> dict[Path, _File]:
        """Files that may hold rows after `us`; what is known of others is forgotten."""
        day = f"date={datetime.fromtimestamp(us / 1e6, UTC):%Y-%m-%d}"
        before = self._files.get(kind, {})
        now: dict[Path, _File] = {}
        for path in self._paths(kind, day):
            file = before.get(path) or _read(path)
            if file is not None:
                now[path] = file
        self._files[kind] = now
        return now

    def _paths(self, kind: str, day: str) -> Iterator[Path]:
        for folder in (self._lake / kind).glob("date=*"):
            if folder.name >= day:
                yield from folder.glob("[!.]*.parquet")

    def _later(self, path: Path, file: _File, us: int) -> int:
        if file.newest_us <= us:
            return 0
        if file.oldest_us > us:
            return file.rows
        try:
            times = pq.read_table(path, columns=[TIME], partitioning=None)[TIME]
        except FileNotFoundError:
            return 0
        return int(pc.sum(pc.greater(times.cast("int64"), us)).as_py() or 0)


def _read(path: Path) -> _File | None:
    """None for a file that went away meanwhile or holds nothing."""
    try:
        metadata = pq.read_metadata(path)
    except FileNotFoundError:
        return None
    place = metadata.schema.names.index(TIME)
    known = [metadata.row_group(group).column(place).statistics for group in range(metadata.num_row_groups)]
    spans = [(found.min, found.max) for found in known if found is not None and found.has_min_max]
    if not spans:
        return None
    oldest, newest = min(span[0] for span in spans), max(span[1] for span in spans)
    return _File(metadata.num_rows, _us(oldest), _us(newest))


def _us(moment: datetime) -> int:
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)
