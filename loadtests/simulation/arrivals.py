"""Whether what was shown and done has reached the lake: ids sent against ids found, each file read once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

ARRIVAL_S = 60.0
"""Longest wait for what was shown and clicked to reach the lake."""
POLL_S = 0.1


class Arrivals:
    """Ids under way to one kind of the lake's files; compaction may move rows between files at any time."""

    def __init__(self, folder: Path, key: str) -> None:
        """`folder` holds date=… folders of Parquet files with the ids in column `key`."""
        self._folder, self._key = folder, key
        self._missing: set[str] = set()
        self._read = set(folder.glob("date=*/*.parquet"))

    def sent(self, ids: Iterable[str]) -> None:
        """Expects these ids from now on."""
        self._missing.update(ids)

    def missing(self) -> int:
        """Ids that no file holds yet."""
        for file in sorted(set(self._folder.glob("date=*/*.parquet")) - self._read):
            try:
                found = pq.read_table(file, columns=[self._key], partitioning=None)[self._key].to_pylist()
            except FileNotFoundError:
                continue  # merged into another file in this moment, which the next look finds
            self._missing.difference_update(found)
            self._read.add(file)
        return len(self._missing)

    def give_up(self) -> None:
        """Expects nothing any more."""
        self._missing.clear()


async def arrived(arrivals: Iterable[Arrivals]) -> int:
    """Waits until nothing is missing; how much is after ARRIVAL_S. What is still missing is not waited for again."""
    ends_at = time.monotonic() + ARRIVAL_S
    waiting = list(arrivals)
    while missing := sum([await asyncio.to_thread(one.missing) for one in waiting]):
        if time.monotonic() > ends_at:
            for one in waiting:
                one.give_up()
            return missing
        await asyncio.sleep(POLL_S)
    return 0
