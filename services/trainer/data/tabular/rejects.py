"""What could not be read: counted, written down up to a bound, and too much of it refuses the file."""

from __future__ import annotations

import csv
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from services.runtime.errors import SettingsError

KEPT = 10_000
"""Rows written down; the others are counted only."""
TEXT = 300
"""Characters kept of a row."""
LEAST = 20
"""Rejected rows below which no share is too large: one bad row of ten says little of a file."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that could not be read."""

    file: str
    line: int
    """From 1, the header included; in Parquet the row."""
    reason: str
    text: str


@dataclass(slots=True)
class Rejects:
    """The rejected rows of one import."""

    kept: list[Reject] = field(default_factory=list)
    """The first KEPT of them."""
    reasons: Counter[str] = field(default_factory=Counter)
    """How many rows each reason refused."""
    _by_file: Counter[str] = field(default_factory=Counter)

    def add(self, file: Path, line: int, reason: str, text: str) -> None:
        """Counts a row, and keeps it while there is room."""
        self.reasons[reason] += 1
        self._by_file[file.name] += 1
        if len(self.kept) < KEPT:
            self.kept.append(Reject(file.name, line, reason, text[:TEXT]))

    @property
    def total(self) -> int:
        """Rows of all files."""
        return self.reasons.total()

    def require_few(self, file: Path, accepted: int, most: float, written: Path) -> None:
        """SettingsError when more than the share `most` of a file's rows was rejected, or none was accepted.

        The rows are in `written` then, so that they can be looked at.
        """
        rejected = self._by_file[file.name]
        if not accepted and not rejected:
            raise SettingsError(f"{file} holds no rows: there is nothing to import.")
        if accepted and (rejected < LEAST or rejected <= most * (accepted + rejected)):
            return
        self.write(written)
        first = next(reject for reject in self.kept if reject.file == file.name)
        raise SettingsError(
            f"{rejected:,} of {accepted + rejected:,} rows of {file} cannot be read, more than {most:.0%}. "
            f"The first is line {first.line}: {first.reason}. All are listed in {written}."
        )

    def write(self, path: Path) -> None:
        """The kept rows as CSV, by one atomic rename; without any, a file of an earlier import goes."""
        if not self.kept:
            path.unlink(missing_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with draft.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(("file", "line", "reason", "row"))
            rows.writerows((reject.file, reject.line, reject.reason, reject.text) for reject in self.kept)
        os.replace(draft, path)
