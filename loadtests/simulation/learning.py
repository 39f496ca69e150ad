"""Training between two rounds: `python -m services.trainer learn` on the arm's data folder, and what came of it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from loadtests.simulation.recording import Learning
from loadtests.simulation.settings import POSITION
from loadtests.simulation.stack import Stack
from services.local import tied
from services.trainer.runs.folder import Runs

OUTCOMES = {0: "published", 3: "refused", 4: "nothing"}
"""By exit status of `learn`; any other is a failure."""
LEARN_S = 900.0
"""Longest run; it is killed then."""


async def learned(stack: Stack, arm: str, seed: int, last_click: float, log: Path) -> Learning:
    """One continuous run, and the wait until what it published serves. `last_click` is a time.monotonic()."""
    started = time.monotonic()
    status = await _learn(stack.data_dir, POSITION[arm], seed, log)
    seconds = time.monotonic() - started
    outcome = OUTCOMES.get(status, "failed")
    run = next(iter(Runs(stack.data_dir).recent()), None)
    said = (run.reason if run else "") or ("" if status in OUTCOMES else f"status {status}, see {log}")
    if outcome != "published" or run is None:
        return Learning(outcome, seconds, said=said)
    names = run.releases or list(run.versions)
    versions = {name: run.versions[name] for name in names}
    if not await stack.serves(versions):
        return Learning("failed", seconds, said="What was published did not serve in time.", versions=versions)
    return Learning(outcome, seconds, time.monotonic() - last_click, said, versions)


async def _learn(data_dir: Path, position: str, seed: int, log: Path) -> int:
    command = [
        sys.executable, "-S", "-E", tied.__file__, str(os.getpid()), sys.executable, "-m", "services.trainer", "learn",
        "--data-dir", str(data_dir), "--seed", str(seed), "--position", position,
        "--ripe-seconds", "0", "--promote", "--trigger", "request",
    ]  # fmt: skip
    with log.open("ab") as output:
        environment = os.environ | {"CASCADE_DATA_DIR": str(data_dir), "CASCADE_REGISTRY_URL": ""}
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=output, stderr=output)
        try:
            return await asyncio.wait_for(process.wait(), LEARN_S)
        except TimeoutError:
            return -1
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
