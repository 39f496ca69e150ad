"""Whether anybody wrote to an SQLite file: PRAGMA data_version, which costs ten microseconds."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

Stamp = tuple[int, int]
"""Which file, and which state of it."""


class Writes:
    """Looks at one file, from any thread. What this process writes through other connections counts too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file = 0

    def stamp(self) -> Stamp | None:
        """Equal to an earlier one when nothing was committed in between; None while that cannot be told."""
        with self._lock:
            try:
                file = self._path.stat().st_ino
                if self._connection is None or file != self._file:
                    self._connection, self._file = self._opened(), file
                # Every row is fetched: a statement that is not through would keep writers out.
                ((version,),) = self._connection.execute("PRAGMA data_version").fetchall()
            except (OSError, sqlite3.Error):
                self._connection = None
                return None
            return file, int(version)

    def _opened(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, timeout=0, check_same_thread=False)
