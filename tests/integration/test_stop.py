"""The whole stack, stopped: the last of these tests, since they share it."""

from __future__ import annotations

from pathlib import Path

import psutil

from services.local.stack import LocalStack


def test_a_stop_leaves_no_process_behind(stack: LocalStack, stack_log: Path) -> None:
    processes = [psutil.Process(pid) for pid in stack.pids().values()]
    assert len(processes) == 10
    said = stack_log.stat().st_size
    assert stack.stop() == 0
    assert not [process for process in processes if process.is_running()]
    assert b"Traceback" not in stack_log.read_bytes()[said:]
