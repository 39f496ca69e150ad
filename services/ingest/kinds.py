"""The folders of the lake that ingest writes: what is in their rows and what tells two of them apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from services.ingest.tables import catalog_table, events_table, impressions_table


@dataclass(frozen=True, slots=True)
class Kind:
    """A folder of the lake."""

    folder: str
    key: str
    """Column and message field of the idempotence key."""
    row_key: tuple[str, ...]
    """Columns that tell two rows apart: readers take the first row of each."""
    table: Callable[[Sequence[Any]], pa.Table]

    def ledger_keys(self, keys: Iterable[str]) -> list[str]:
        return [f"{self.folder}:{key}" for key in keys]


KINDS = (
    Kind("events", "event_id", ("event_id",), events_table),
    Kind("impressions", "recommendation_id", ("recommendation_id", "position"), impressions_table),
    Kind("catalog", "change_id", ("change_id",), catalog_table),
)


def live_files(lake: Path, folder: str) -> list[Path]:
    """What ingest wrote into a folder, by day and then by age."""
    return sorted((lake / folder).glob("date=*/*.parquet"))
