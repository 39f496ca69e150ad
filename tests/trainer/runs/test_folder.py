"""The folder of runs: one goes on at a time, whoever asks, and only the newest are kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from services.runtime.errors import Conflict
from services.trainer.runs.folder import KEPT, Runs
from services.trainer.runs.record import RECORD, Run

HOLD = """
import sys
from pathlib import Path
from services.trainer.runs.folder import Runs
with Runs(Path(sys.argv[1])).only("full run"):
    print("held", flush=True)
    sys.stdin.read()
"""


def ended(number: int) -> Run:
    run = Run.begin("continuous", "schedule", f"run-{number:03d}")
    run.end("published")
    return run


def test_one_run_goes_on_at_a_time_across_processes(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        assert runs.busy()
        held = pytest.raises(Conflict, match=f"Another run goes on: full run, process {holder.pid}, since")
        with held, runs.only("continuous run"):
            pass
    finally:
        holder.kill()
        holder.communicate(timeout=20)
    assert not runs.busy()
    with runs.only("continuous run"):
        assert runs.busy()


def test_a_look_at_the_lock_does_not_keep_a_run_from_starting(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    with runs.only("first"):
        pass
    for _ in range(50):
        assert not runs.busy()
        with runs.only("next"):
            pass


def test_the_newest_records_are_kept_and_drafts_of_ended_runs_are_not(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    for number in range(KEPT + 5):
        run = ended(number)
        runs.write(run)
        (runs.folder(run) / "ranker").mkdir()
    going = Run.begin("continuous", "schedule", "run-999")
    runs.write(going)
    (runs.folder(going) / "ranker").mkdir()
    runs.sweep()
    kept = runs.recent()
    assert [run.run_id for run in kept] == ["run-999", *(f"run-{number:03d}" for number in range(KEPT + 4, 5, -1))]
    assert [run.run_id for run in kept if (runs.folder(run) / "ranker").exists()] == ["run-999"]


def test_a_record_that_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    good, bad = ended(1), ended(2)
    for run in (good, bad):
        runs.write(run)
    (runs.folder(bad) / RECORD).write_text("{")
    assert runs.recent() == [good]


def test_runs_of_one_second_are_told_newest_first(tmp_path: Path) -> None:
    runs, begun = Runs(tmp_path), [Run.begin("full", "request", run_id) for run_id in ("b", "a", "c")]
    for run in begun:
        runs.write(run)
    assert runs.recent() == begun[::-1]
