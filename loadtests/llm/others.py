"""What the rest of the machine does while the bench measures: processes that are not its own."""

from __future__ import annotations

import os
import time

import psutil


class Others:
    """Counts from the moment it is made."""

    def __init__(self) -> None:
        self._since, self._busy, self._own = time.monotonic(), _busy_seconds(), _own_seconds()

    @property
    def share(self) -> float:
        """Of all cores' time, 0 to 1, that other processes took so far."""
        available = (time.monotonic() - self._since) * (os.cpu_count() or 1)
        taken = (_busy_seconds() - self._busy) - (_own_seconds() - self._own)
        return min(1.0, max(0.0, taken / available)) if available else 0.0


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + getattr(times, "irq", 0.0) + getattr(times, "softirq", 0.0))


def _own_seconds() -> float:
    """CPU of this process and of all that it started and that still live."""
    total = 0.0
    for process in (me := psutil.Process(), *me.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total
