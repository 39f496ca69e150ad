"""data_dir/training: a folder per run, and the lock that lets only one of them go on.

with Runs(data_dir).only("continuous run") as runs:    # Conflict, naming who holds it, while another goes on
    ...
Runs(data_dir).recent()                                # newest first, readable at any time
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from services.runtime.errors import Conflict
from services.trainer.runs.record import RECORD, Run

FOLDER = "training"
KEPT = 20
"""Runs whose run.json is kept."""


class Runs:
    """The runs of a data folder, of every process that works on it."""

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir / FOLDER

    def folder(self, run: Run) -> Path:
        """Where a run keeps what it makes."""
        return self._root / run.run_id

    @contextmanager
    def only(self, what: str) -> Iterator[None]:
        """Holds the lock for the length of the block, or until this process dies. Conflict when it is held."""
        self._root.mkdir(parents=True, exist_ok=True)
        with (self._root / "lock").open("a+") as file:
            if not _locked(file):
                file.seek(0)
                raise Conflict(f"Another run goes on: {file.read() or 'one that has just begun'}. Wait for it to end.")
            file.truncate(0)
            file.write(f"{what}, process {os.getpid()}, since {datetime.now(UTC):%H:%M:%S} UTC")
            file.flush()
            yield

    def busy(self) -> bool:
        """Whether some process holds the lock."""
        try:
            with (self._root / "lock").open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def recent(self) -> list[Run]:
        """The kept runs, newest first; a record that cannot be read is left out."""
        return [run for _, run in self._records() if run is not None][:KEPT]

    def write(self, run: Run) -> None:
        """Makes what is known of a run visible."""
        folder = self.folder(run)
        folder.mkdir(parents=True, exist_ok=True)
        run.write(folder)

    def remove(self, run: Run) -> None:
        """Forgets a run as if it had never been."""
        shutil.rmtree(self.folder(run), ignore_errors=True)

    def sweep(self) -> None:
        """Drops the drafts of ended runs, and all of the runs beyond the newest KEPT. Needs the lock."""
        for place, (folder, run) in enumerate(self._records()):
            if place >= KEPT:
                shutil.rmtree(folder, ignore_errors=True)
            elif run is None or run.state != "running":
                for entry in folder.iterdir():
                    if entry.is_dir():
                        shutil.rmtree(entry, ignore_errors=True)

    def _records(self) -> list[tuple[Path, Run | None]]:
        """Every folder with its run, newest first; those whose record cannot be read come last."""
        found = [(folder, _read(folder)) for folder in self._folders()]
        return sorted(found, key=lambda pair: pair[1].started_us if pair[1] else 0, reverse=True)

    def _folders(self) -> list[Path]:
        return [path for path in self._root.iterdir() if path.is_dir()] if self._root.is_dir() else []


def learned_until(runs: Sequence[Run], part: str) -> int:
    """Time of the newest record that a run has learned from, microseconds since 1970; 0 when none has."""
    return max((run.learned_us.get(part, 0) for run in runs if run.state in ("published", "refused")), default=0)


def _read(folder: Path) -> Run | None:
    try:
        return Run.model_validate_json((folder / RECORD).read_text())
    except (FileNotFoundError, ValidationError):
        return None


def _locked(file: IO[str]) -> bool:
    """Whether the lock could be had; somebody who only looks whether it is held keeps it for microseconds."""
    for pause in (0.01, 0.05, 0.2, 0):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        else:
            return True
    return False
