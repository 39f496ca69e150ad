"""Files of the lake's date=… folders that a period can touch."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path


def partitions(folder: Path, since: datetime, until: datetime) -> list[Path]:
    """Parquet files of the days (UTC) from `since` to `until`, both included, in the order of their paths."""
    first, last = since.astimezone(UTC).date(), until.astimezone(UTC).date()
    days = [path for path in sorted(folder.glob("date=*")) if first <= _day(path) <= last]
    return [file for day in days for file in sorted(day.glob("*.parquet")) if not file.name.startswith(".")]


def _day(path: Path) -> date:
    return date.fromisoformat(path.name.removeprefix("date="))
