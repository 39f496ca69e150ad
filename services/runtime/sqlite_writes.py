"""Whether anybody wrote to an SQLite file: PRAGMA data_version, which costs ten microseconds."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

Stamp = tuple[int, int]
"""Which connection looked, and what it saw: the numbers of two connections have nothing to do with each other."""


class Writes:
    """Looks at one file, from any thread. What this process writes through other connections counts too."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._file = 0
        self._opened = 0
        """How many connections there were."""

    def stamp(self) -> Stamp | None:
        """Equal to an earlier one when nothing was committed in between; None while that cannot be told."""
        with self._lock:
            try:
                connection = self._current()
                # Every row is fetched: a statement that is not through would keep writers out.
                ((version,),) = connection.execute("PRAGMA data_version").fetchall()
            except (OSError, sqlite3.Error):
                return None
            return self._opened, int(version)

    def _current(self) -> sqlite3.Connection:
        """To the file that has the path now."""
        file = self._path.stat().st_ino
        if self._connection is None or file != self._file:
            address = f"{self._path.as_uri()}?mode=ro"
            self._connection = sqlite3.connect(address, uri=True, timeout=0, check_same_thread=False)
            self._file, self._opened = file, self._opened + 1
        return self._connection
