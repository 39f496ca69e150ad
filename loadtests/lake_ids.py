"""Ids of the events that ingest wrote into the lake: python lake_ids.py prints one a line, from CASCADE_DATA_DIR.

Needs nothing of this repository, so that its source can be handed to a Python inside a container.
"""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow.parquet as pq


def live_event_ids(lake: Path) -> list[str]:
    """Every occurrence of every id; the files of imported history, right in events/, are left out."""
    files = [file for file in sorted((lake / "events").rglob("*.parquet")) if file.parent.name != "events"]
    return [id for file in files for id in pq.read_table(file, columns=["event_id"])["event_id"].to_pylist()]


if __name__ == "__main__":
    print(*live_event_ids(Path(os.environ.get("CASCADE_DATA_DIR", ".data")) / "lake"), sep="\n")
