"""Files that appear whole or not at all, in an order that survives a power cut."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

DRAFT = ".draft"
STALE_DRAFT_SECONDS = 60.0
"""Age at which a draft belongs to a process that died."""


def new_name(level: int = 0, ms: int | None = None) -> str:
    """A name that sorts by time; `level` counts how often its rows were merged."""
    stamp = time.time_ns() // 1_000_000 if ms is None else ms
    merged = f"-m{level}" if level else ""
    return f"{stamp:013d}-{uuid.uuid4().hex[:12]}{merged}.parquet"


def level_of(path: Path) -> int:
    """0 for a file of one flush, 1 for a merge of those, and so on."""
    _, dash, level = path.stem.rpartition("-m")
    return int(level) if dash and level.isdigit() else 0


def stamp_of(path: Path) -> int:
    """Milliseconds since 1970 in the name; 0 for a name of somebody else's."""
    stamp = path.name[:13]
    return int(stamp) if stamp.isdigit() else 0


def write_file(table: pa.Table, path: Path) -> None:
    """Durable when it returns; an OSError leaves nothing behind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}{DRAFT}")
    try:
        with draft.open("wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Makes renames and removals in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def files_of(folder: Path, suffix: str) -> Iterator[Path]:
    """The files of every day with this ending; a day may vanish meanwhile."""
    for day in folder.glob("date=*"):
        with os.scandir(day) as entries:
            yield from (Path(entry.path) for entry in entries if entry.name.endswith(suffix))


def remove_stale_drafts(folder: Path) -> None:
    """Takes away what dead processes left half written."""
    for draft in files_of(folder, DRAFT):
        with suppress(FileNotFoundError):
            if time.time() - draft.stat().st_mtime > STALE_DRAFT_SECONDS:
                draft.unlink()
