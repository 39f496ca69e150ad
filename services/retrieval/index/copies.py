"""Private copies of folders that must not change, swept up after processes that died."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path


class PrivateCopy:
    """A copy of `folder` under `scratch` that lives until `discard`, or until the process is gone and another comes.

    A lock on a file beside the copy tells the living from the dead: the system lets go of it with the process.
    """

    def __init__(self, folder: Path, scratch: Path) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        _sweep(scratch)
        self._lock, name = tempfile.mkstemp(prefix="copy-", suffix=".lock", dir=scratch)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._lock_file = Path(name)
        self.path = self._lock_file.with_suffix("")
        try:
            shutil.copytree(folder, self.path)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Deletes the copy; a second call does nothing."""
        if not self._lock_file.exists():
            return
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock_file.unlink(missing_ok=True)
        os.close(self._lock)


def _sweep(scratch: Path) -> None:
    for lock_file in scratch.glob("copy-*.lock"):
        with lock_file.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(lock_file.with_suffix(""), ignore_errors=True)
            lock_file.unlink(missing_ok=True)
