"""The processes of a running stack, seen from outside: CPU time and memory by service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import psutil

_STORES = {"valkey-server": "redis", "redis-server": "redis"}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used since it started."""

    cpu_seconds: float
    rss_bytes: int
    peak_rss_bytes: int


def stack_processes() -> dict[str, psutil.Process]:
    """The stack's processes of this user by service name; empty when none runs."""
    found: dict[str, psutil.Process] = {}
    for process in psutil.process_iter(["cmdline", "name"]):
        name = _service_of(process.info["name"] or "", process.info["cmdline"] or [])
        if name is not None:
            found[name] = process
    return found


def _service_of(name: str, command: list[str]) -> str | None:
    if name in _STORES:
        return _STORES[name]
    for flag, module in zip(command, command[1:], strict=False):
        if flag == "-m" and (module == "services" or module.startswith("services.")):
            return "manager" if module in ("services", "services.demo") else module.rsplit(".", 1)[-1]
    return None


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
