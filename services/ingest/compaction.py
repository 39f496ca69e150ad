"""Small files of one day become one, level by level, so that a day holds dozens of files and not tens of thousands.

A merge reads some files of one level, marks their records in the ledger, writes one file of the next level under the
time of its newest source, and names the sources in its metadata. The sources are deleted GRACE_SECONDS later: whoever
listed them before the merge may still open them. Until then rows are there twice and readers, who take each key once,
see each row once. A process that dies at any point leaves either no merge, or one whose sources the next run deletes.
"""

from __future__ import annotations

import fcntl
import itertools
import json
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from redis import Redis

from services.ingest.files import level_of, new_name, stamp_of, sync_folder, write_file
from services.ingest.kinds import KINDS, Kind
from services.ingest.ledger import Ledger

GRACE_SECONDS = 10.0
"""How long the sources of a merge stay: longer than a reader takes from listing files to opening them."""
MAX_BYTES = 32 * 1024 * 1024
"""Size of a merged file, and with it the memory of a merge; a file of half of it is left as it is."""
MAX_SOURCES = 256
"""Files of one merge."""
MAX_MERGES = 1000
"""Merges of one run that nobody waits for."""
LOOKED_AT_ONCE = 8
"""Days of before this process that one run looks at."""
MARKED_AT_ONCE = 50_000
LOCK = ".compaction.lock"
"""In the lake's folder."""
MERGED_FROM = b"cascade.merged_from"
"""Key in a merged file's schema metadata: the names of its sources as JSON."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a run did."""

    merges: int = 0
    sources: int = 0
    """Files that were merged."""
    deleted: int = 0
    """Sources of earlier merges that are gone now."""

    def plus(self, other: Compacted) -> Compacted:
        return Compacted(self.merges + other.merges, self.sources + other.sources, self.deleted + other.deleted)


class Compaction:
    """Merges in a lake. One process at a time: others find the lock taken and leave it for later."""

    def __init__(self, root: Path, redis: Redis, most: int, grace_seconds: float = GRACE_SECONDS) -> None:
        self._root, self._redis, self._most, self._grace = root, redis, most, grace_seconds
        self._ledger = Ledger("lake")
        self._unseen = deque(self.folders())
        """Days that this process has not looked at yet: one that died may have left sources there."""
        self._due: dict[Path, float] = {}
        """Days with sources to delete -> when, by the monotonic clock."""

    def run(self, folders: Iterable[Path], merges: int = 1) -> Compacted:
        """Looks at these days and some others that wait for it, and makes so many merges at most.

        An OSError or RedisError leaves the lake as it was, or merged with its sources still there.
        """
        total = Compacted()
        with self._alone() as alone:
            for folder, known in self._candidates(folders).items() if alone else ():
                files = sorted(folder.glob("*.parquet"))
                if not known or max(Counter(map(level_of, files)).values(), default=0) > self._most:
                    total = total.plus(self._folder(folder, files, merging=total.merges < merges))
        return total

    def run_all(self) -> Compacted:
        """Merges whatever can be; what is left to delete is told by `waiting`."""
        total = Compacted()
        while (done := self.run(self.folders(), merges=MAX_MERGES)).merges:
            total = total.plus(done)
        return total.plus(done)

    @property
    def waiting(self) -> float:
        """Seconds until the sources of every merge may be deleted, 0 when there are none."""
        return max(0.0, max(self._due.values(), default=0.0) - time.monotonic())

    def folders(self) -> list[Path]:
        """Every day of every kind."""
        return sorted(day for kind in KINDS for day in (self._root / kind.folder).glob("date=*"))

    def _candidates(self, folders: Iterable[Path]) -> dict[Path, bool]:
        """Day -> whether it is known to hold nothing that is to be deleted now."""
        unseen = [self._unseen.popleft() for _ in range(min(LOOKED_AT_ONCE, len(self._unseen)))]
        due = [folder for folder, at in self._due.items() if at <= time.monotonic()]
        return dict.fromkeys(folders, True) | dict.fromkeys([*due, *unseen], False)

    def _folder(self, folder: Path, files: Sequence[Path], merging: bool) -> Compacted:
        """Deletes what may be deleted and merges once, where one level has more files than it should."""
        sources_of = {path: _sources_of(path) for path in files if level_of(path)}
        deleted = self._delete(sources_of)
        present = {path.name for path in files} - deleted
        pending = present.intersection(itertools.chain(*sources_of.values()))
        sources = self._chosen([path for path in files if path.name in present - pending]) if merging else []
        if sources:
            self._merge(sources)
        if pending or sources:
            self._due[folder] = time.monotonic() + self._grace
        else:
            self._due.pop(folder, None)
        return Compacted(int(bool(sources)), len(sources), len(deleted))

    def _delete(self, sources_of: Mapping[Path, Sequence[str]]) -> set[str]:
        """Deletes the sources of merges that are old enough, the lowest level first: a merge goes after its sources."""
        deleted = set[str]()
        for merged in sorted(sources_of, key=level_of):
            present = [path for name in sources_of[merged] if (path := merged.with_name(name)).exists()]
            if not present or time.time() - merged.stat().st_mtime < self._grace:
                continue
            for path in present:
                path.unlink(missing_ok=True)
            sync_folder(merged.parent)
            deleted |= {path.name for path in present}
        return deleted

    def _chosen(self, files: Sequence[Path]) -> list[Path]:
        """The oldest files of the lowest level that has too many, as many as one merge takes."""
        levels: dict[int, list[tuple[Path, int]]] = {}
        for path in files:
            if (size := path.stat().st_size) < MAX_BYTES // 2:
                levels.setdefault(level_of(path), []).append((path, size))
        for _, level in sorted(levels.items()):
            totals = itertools.accumulate(size for _, size in level)
            fitting = [path for (path, _), total in zip(level, totals, strict=True) if total <= MAX_BYTES]
            if len(level) > self._most and len(fitting) > 1:
                return fitting[:MAX_SOURCES]
        return []

    def _merge(self, sources: Sequence[Path]) -> None:
        kind = next(kind for kind in KINDS if kind.folder == sources[0].parent.parent.name)
        tables = [pq.read_table(path, partitioning=None) for path in sources]
        table = _distinct(pa.concat_tables(tables, promote_options="default"), kind)
        keys = table[kind.key].unique()
        for start in range(0, len(keys), MARKED_AT_ONCE):
            self._ledger.mark(self._redis, kind.ledger_keys(keys[start : start + MARKED_AT_ONCE].to_pylist()))
        names = json.dumps([path.name for path in sources]).encode()
        merged = new_name(level_of(sources[0]) + 1, stamp_of(sources[-1]))
        write_file(table.replace_schema_metadata({MERGED_FROM: names}), sources[0].with_name(merged))

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Holds the lake's lock, which ends with the process; False when another holds it."""
        if not self._root.is_dir():
            yield False
            return
        with (self._root / LOCK).open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True


def _sources_of(path: Path) -> list[str]:
    """Names of the files that a merged one took in."""
    metadata = pq.read_schema(path).metadata or {}
    names: list[str] = json.loads(metadata.get(MERGED_FROM, b"[]"))
    return names


def _distinct(table: pa.Table, kind: Kind) -> pa.Table:
    """By time, each row once."""
    table = table.sort_by([("ts", "ascending"), *((name, "ascending") for name in kind.row_key)])
    key = np.zeros(table.num_rows, np.int64)
    for name in kind.row_key:
        codes = table[name].combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False).astype(np.int64)
        key = key * (int(codes.max(initial=0)) + 1) + codes
    _, first = np.unique(key, return_index=True)
    return table if first.size == table.num_rows else table.take(np.sort(first))
