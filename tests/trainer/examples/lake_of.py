"""A lake of slates and reactions, written as ingest writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from services.ingest.activity import DAY_US
from services.ingest.tables import events_table, impressions_table
from services.pb import events_pb2

COLUMNS = ("score", "log_position", "item")
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Slate:
    """What was shown; features follow from the item ids."""

    name: str
    items: Sequence[int]
    at: datetime = NOON
    user: int = 7
    columns: Sequence[str] = COLUMNS
    versions: Mapping[str, str] = field(default_factory=lambda: {"ranker": "3"})
    experiments: Mapping[str, str] = field(default_factory=lambda: {"ranker": "champion"})
    without_features: Sequence[int] = ()
    """Items whose row the ranker did not send."""

    def message(self) -> events_pb2.Impression:
        rows = np.array([[item / 2, 0, item] for item in self.items], "<f4")[:, : len(self.columns)]
        rows[[item in self.without_features for item in self.items]] = np.nan
        return events_pb2.Impression(
            recommendation_id=self.name,
            user_id=self.user,
            ts_us=microseconds(self.at),
            item_ids=self.items,
            scores=np.zeros(len(self.items), "<f4").tobytes(),
            propensities=np.ones(len(self.items), "<f4").tobytes(),
            slots=["ranked"] * len(self.items),
            feature_columns=self.columns,
            features=rows.tobytes(),
            model_versions=self.versions,
            experiments=self.experiments,
            served_by="fresh",
        )


def reaction(
    slate: str, item: int, at: datetime, kind: str = "click", value: float | None = None, user: int = 7
) -> events_pb2.Event:
    return events_pb2.Event(
        event_id=f"{slate}-{item}-{kind}-{at.isoformat()}",
        type=kind,
        user_id=user,
        item_id=item,
        ts_us=microseconds(at),
        recommendation_id=slate,
        value=value,
    )


def write(lake: Path, records: Sequence[Slate | events_pb2.Event], name: str = "a") -> None:
    """One file per kind and day."""
    slates = [record.message() for record in records if isinstance(record, Slate)]
    events = [record for record in records if isinstance(record, events_pb2.Event)]
    _write_days(lake / "impressions", name, slates, impressions_table)
    _write_days(lake / "events", name, events, events_table)


Message = TypeVar("Message", events_pb2.Impression, events_pb2.Event)


def _write_days(
    folder: Path, name: str, messages: Sequence[Message], table: Callable[[Sequence[Message]], pa.Table]
) -> None:
    for day in sorted({message.ts_us // DAY_US for message in messages}):
        rows = [message for message in messages if message.ts_us // DAY_US == day]
        date = datetime.fromtimestamp(day * DAY_US // 1_000_000, UTC).date()
        write_file(table(rows), folder / f"date={date}", name)


def compact(lake: Path) -> None:
    """Merges the files of every folder into one, rows in another order."""
    for folder in lake.glob("*/date=*"):
        files = sorted(folder.glob("*.parquet"))
        merged = pa.concat_tables([pq.read_table(file, partitioning=None) for file in files])
        write_file(merged.take(np.random.default_rng(0).permutation(len(merged))), folder, "merged")
        for file in files:
            file.unlink()


def write_file(table: pa.Table, folder: Path, name: str) -> None:
    """One Parquet file."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / f"{name}.parquet")


def microseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
