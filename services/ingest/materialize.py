"""The newest offline rows of every view, put into the online store in packed batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray
from redis import Redis, WatchError

from services.features.packing import View, pack
from services.features.rewrite import rewrite
from services.features.rows import Rows, unpack
from services.ingest.deleted import deletions

BATCH = 5000
"""Entities per round trip."""

Progress = Callable[[str, int, int], None]
"""Called with the view, its entities written so far, and all of them."""


def materialize(
    data_dir: Path,
    redis_url: str,
    views: Mapping[str, View],
    progress: Progress = lambda view, done, total: None,
) -> dict[str, int]:
    """Writes the latest row of each entity of each view from offline/<view>.parquet; returns entities by view.

    A row that the stream wrote later than the offline one stays, and what was deleted stays deleted. Safe to repeat and
    to run beside the stream writer.
    """
    written = {}
    with closing(Redis.from_url(redis_url)) as client:
        for view in views.values():
            latest = latest_rows(data_dir / "offline" / f"{view.name}.parquet", view)
            for start in range(0, len(latest), BATCH):
                _write(client, view, latest[start : start + BATCH])
                progress(view.name, min(start + BATCH, len(latest)), len(latest))
            written[view.name] = len(latest)
    return written


def latest_rows(path: Path, view: View) -> pl.DataFrame:
    """One row per entity: the last of the file, which is sorted by event time."""
    columns = [view.key, *view.fields, "event_timestamp"]
    return pl.scan_parquet(path).select(columns).unique(view.key, keep="last", maintain_order=True).collect()


def _write(client: Redis, view: View, rows: pl.DataFrame) -> None:
    rows = _not_deleted(client, view, rows)
    ids = rows[view.key].to_numpy().astype(np.uint64)
    times = rows["event_timestamp"].to_physical().to_numpy()
    blobs = pack(view, ids, {name: _column(rows[name]) for name in view.fields}, times)

    def not_newer(stored: Rows) -> dict[bytes, bytes]:
        stays = (stored.event_times_us() > times).tolist()
        return {key: blob for (key, blob), stay in zip(blobs.items(), stays, strict=True) if not stay}

    rewrite(client, view, ids, not_newer)
    _take_back(client, view, ids, times)


def _not_deleted(client: Redis, view: View, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows of entities that were not deleted since; the stream may know of deletions that the files do not."""
    deleted = deletions(client, view.key, rows[view.key].to_list())
    if not deleted:
        return rows
    since = pl.col(view.key).replace_strict(deleted, default=-1, return_dtype=pl.Int64)
    return rows.filter(pl.col("event_timestamp").to_physical() > since)


def _take_back(client: Redis, view: View, ids: NDArray[np.uint64], times: NDArray[np.int64]) -> None:
    """Removes rows whose entity was deleted while they were written, unless the stream wrote a newer one since."""
    deleted = deletions(client, view.key, ids.tolist())
    for number, time in zip(ids.tolist(), times.tolist(), strict=True):
        if time > deleted.get(number, -1):
            continue
        key = view.keys(np.array([number], np.uint64))[0]
        with client.pipeline() as pipe:
            pipe.watch(key)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
            stored = unpack(view, np.array([number], np.uint64), [cast(bytes | None, pipe.get(key))])
            if stored.event_times_us()[0] != time:
                continue
            pipe.multi()
            pipe.delete(key)
            if view.indexed:
                pipe.srem(view.index, number)
            with suppress(WatchError):
                pipe.execute()


def _column(values: pl.Series) -> Any:
    if values.dtype.is_numeric() and values.null_count() == 0:
        return values.to_numpy()
    return values.to_list()
