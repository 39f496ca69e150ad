"""The file of budgets: for each key the most it may have spent in a period. One process at a time may have it open."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.runtime.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Claim:
    """What a key may have spent at most, in picodollars, and when."""

    key: str
    period: str
    amount: int


class BudgetBook:
    """One row a key. A write is on the disk when it returns."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=1, check_same_thread=False, isolation_level=None)
            # Two processes that each believe in their own sums would spend the budget twice.
            self._database.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS claims "
                "(key TEXT PRIMARY KEY, period TEXT NOT NULL, amount INTEGER NOT NULL)"
            )
            self.write([])
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(
                f"The budgets in {path} cannot be opened ({error}). Set CASCADE_DATA_DIR to a folder that can be "
                "written and that no other gateway uses, or move a damaged file away."
            ) from error

    def claims(self) -> list[Claim]:
        """Of all keys that ever spent."""
        return [Claim(*row) for row in self._database.execute("SELECT key, period, amount FROM claims")]

    def write(self, claims: Sequence[Claim]) -> None:
        """All of them or none."""
        rows = [(claim.key, claim.period, claim.amount) for claim in claims]
        with self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR REPLACE INTO claims (key, period, amount) VALUES (?, ?, ?)", rows)

    def close(self) -> None:
        """Lets go of the file."""
        self._database.close()
