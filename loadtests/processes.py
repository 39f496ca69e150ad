"""The processes of a running stack: CPU time and memory by service, as the operating system accounts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from services.local.stack import running_stack


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used since it started."""

    cpu_seconds: float
    rss_bytes: int
    peak_rss_bytes: int


def stack_processes(data_dir: Path) -> dict[str, psutil.Process]:
    """The processes of the stack on a data folder, its manager included. NotFound when none runs."""
    state = running_stack(data_dir)
    return {name: psutil.Process(pid) for name, pid in {**state.pids, "manager": state.manager}.items()}


def usage(processes: Mapping[str, psutil.Process]) -> dict[str, Usage]:
    """CPU and memory of each process that still lives."""
    readings: dict[str, Usage] = {}
    for name, process in processes.items():
        try:
            times, memory = process.cpu_times(), process.memory_info().rss
            readings[name] = Usage(times.user + times.system, memory, max(memory, _peak(process.pid)))
        except psutil.NoSuchProcess:
            continue
    return readings


def _peak(pid: int) -> int:
    """Peak resident set in bytes; 0 where the system does not tell."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return 0
    return 0
