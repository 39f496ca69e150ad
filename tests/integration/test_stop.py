"""The whole stack, stopped."""

from __future__ import annotations

from pathlib import Path

import psutil

from tests.integration.test_stack import started


def test_a_stop_leaves_no_process_behind(world: Path, tmp_path: Path) -> None:
    with started(world, tmp_path / "stack.log") as stack:
        processes = [psutil.Process(pid) for pid in stack.pids().values()]
        assert len(processes) == 10
        assert stack.stop() == 0
    assert not [process for process in processes if process.is_running()]
    assert "Traceback" not in (tmp_path / "stack.log").read_text()
