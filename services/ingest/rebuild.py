"""The online store anew from the lake, which keeps what Redis may lose and a log forgets.

The lake is replayed through the writer that the stream uses, so both leave the same features. What came through the log
is marked in both ledgers, so that a log that is read from its start changes nothing any more.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from redis import Redis

from services.features.packing import VIEWS_KEY
from services.ingest.deleted import deleted_key
from services.ingest.kinds import KINDS, Kind, live_files
from services.ingest.ledger import Ledger
from services.ingest.materialize import materialize
from services.ingest.online import OnlineWriter, load_views
from services.ingest.tables import EVENT_COLUMNS, changes_of, events_of
from services.runtime.errors import Conflict

FILLED = "cascade:filled"
"""Key in the online store that names the lake's snapshot it was filled from."""
BATCH = 5000
"""Records folded in one transaction."""
PROFILES = ("user_profile", "item_profile")
"""Views that imported data fill from offline files; no event makes them."""
ROWS = 200_000
"""Rows in memory at a time."""

Progress = Callable[[str, int, int], None]
"""Called with the part of the lake that is read, its files (or rows) done so far, and all of them."""


def rebuild(data_dir: Path, redis_url: str, progress: Progress = lambda part, done, total: None) -> dict[str, int]:
    """Folds the whole lake into an online store that holds the definitions and nothing else; records by part.

    Ingest must not run meanwhile. Conflict when the store holds features already, for example those of a rebuild that
    was interrupted: empty it first.
    """
    lake = data_dir / "lake"
    with closing(Redis.from_url(redis_url)) as redis:
        if not is_empty(redis):
            raise Conflict(
                "The online store holds features already, and folding the lake into them would count everything twice. "
                "Stop ingest, then add --empty to begin with an empty one."
            )
        views = load_views(redis)
        profiles = {name: views[name] for name in PROFILES if (data_dir / "offline" / f"{name}.parquet").is_file()}
        materialize(data_dir, redis_url, profiles, progress)
        counts = {}
        for part, files, fold in _parts(lake, redis, OnlineWriter(redis, views)):
            counts[part] = 0
            for done, path in enumerate(files, 1):
                counts[part] += fold(path)
                progress(part, done, len(files))
        if (lake / "snapshot.json").is_file():
            redis.set(FILLED, (lake / "snapshot.json").read_bytes())
    return counts


def _parts(
    lake: Path, redis: Redis, writer: OnlineWriter
) -> Iterator[tuple[str, Sequence[Path], Callable[[Path], int]]]:
    """(what it is, its files, what to do with each), in the order it must be done: deletions before events."""
    yield "catalog", live_files(lake, "catalog"), lambda path: _fold_changes(path, writer)
    imported = sorted((lake / "events").glob("*.parquet"))
    yield "imported events", imported, lambda path: _fold_events(path, writer, once=False)
    yield "events", live_files(lake, "events"), lambda path: _fold_events(path, writer, once=True)
    for kind in KINDS:
        yield f"ledger of {kind.folder}", live_files(lake, kind.folder), _marking(kind, redis)


def replay_catalog(lake: Path, redis: Redis) -> int:
    """Applies the puts and deletions of the lake to a store that holds the imported profiles; returns the changes."""
    writer = OnlineWriter(redis, load_views(redis))
    return sum(_fold_changes(path, writer) for path in live_files(lake, "catalog"))


def is_empty(redis: Redis) -> bool:
    """True when nothing was written yet but the definitions."""
    return next(_keys(redis), None) is None


def empty(redis: Redis) -> None:
    """Deletes every row, both ledgers, the deletions and the mark of the first filling; the definitions stay."""
    keys = _keys(redis)
    while chunk := list(itertools.islice(keys, BATCH)):
        redis.unlink(*chunk)


def _keys(redis: Redis) -> Iterator[bytes]:
    views = load_views(redis).values() if redis.exists(VIEWS_KEY) else ()
    for view in views:
        yield from redis.scan_iter(view.prefix + b"*", count=BATCH)
        yield from (key for key in [view.index] if redis.exists(key))
    yield from redis.scan_iter(f"{Ledger.PREFIX}*", count=BATCH)
    for name in (FILLED, deleted_key("user_id"), deleted_key("item_id")):
        yield from ([name.encode()] if redis.exists(name) else [])


def _fold_events(path: Path, writer: OnlineWriter, once: bool) -> int:
    """User by user, which changes nothing but the number of rows that are read and written."""
    rows = 0
    for table in _tables(path, EVENT_COLUMNS):
        for portion in _portions(table.sort_by([("user_id", "ascending"), ("ts", "ascending")])):
            writer.write(events_of(portion), [], once=once)
        rows += table.num_rows
    return rows


def _fold_changes(path: Path, writer: OnlineWriter) -> int:
    rows = 0
    for table in _tables(path):
        for portion in _portions(table):
            writer.write([], changes_of(portion))
        rows += table.num_rows
    return rows


def _marking(kind: Kind, redis: Redis) -> Callable[[Path], int]:
    ledger = Ledger("lake")

    def mark(path: Path) -> int:
        rows = 0
        for table in _tables(path, [kind.key]):
            for portion in _portions(table.group_by(kind.key).aggregate([])):
                ledger.mark(redis, kind.ledger_keys(portion[kind.key].to_pylist()))
            rows += table.num_rows
        return rows

    return mark


def _tables(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(ROWS, columns=columns):
            yield pa.Table.from_batches([batch])


def _portions(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, table.num_rows, BATCH):
        yield table.slice(start, BATCH)
