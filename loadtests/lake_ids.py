"""Ids of the events that ingest wrote into the lake: python lake_ids.py prints one a line, from CASCADE_DATA_DIR.

Needs nothing of this repository, so that its source can be handed to a Python inside a container.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow.parquet as pq


def live_event_ids(lake: Path) -> list[str]:
    """Every occurrence of every id; the files of imported history, right in events/, are left out, and so are those
    whose rows a merged file beside them holds.
    """
    files = [file for file in sorted((lake / "events").rglob("*.parquet")) if file.parent.name != "events"]
    merged = {file.with_name(name) for file in files for name in merged_from(file)}
    tables = (pq.read_table(file, columns=["event_id"], partitioning=None) for file in files if file not in merged)
    return [id for table in tables for id in table["event_id"].to_pylist()]


def merged_from(file: Path) -> list[str]:
    """Names of the files that a merged one took in; they are deleted some seconds after the merge."""
    names: list[str] = json.loads((pq.read_schema(file).metadata or {}).get(b"cascade.merged_from", b"[]"))
    return names


if __name__ == "__main__":
    print(*live_event_ids(Path(os.environ.get("CASCADE_DATA_DIR", ".data")) / "lake"), sep="\n")
