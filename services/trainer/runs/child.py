"""A run as a process of its own: what it allocates goes when it ends, and it ends with the service that started it."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from services.local import tied
from services.trainer.runs.record import Run
from services.trainer.settings import TrainerSettings

STOP_SECONDS = 10.0


def command(settings: TrainerSettings, run: Run) -> list[str]:
    """The command line of a run."""
    shared = ["--data-dir", str(settings.data_dir), "--registry-url", settings.registry_url, "--run-id", run.run_id]
    shared += ["--device", settings.device, "--processes", str(settings.processes)]
    trigger = ["--trigger", run.trigger]
    if run.kind == "full":
        told = ["--dataset", settings.dataset, "--rankers", settings.rankers, "--interests", str(settings.interests)]
        return [sys.executable, "-m", "services.trainer", "train", *told, *trigger, *shared]
    told = ["--position", settings.position, "--ripe-seconds", str(settings.ripe_seconds)]
    told += ["--retrieval" if settings.learn_retrieval else "--no-retrieval"]
    return [sys.executable, "-m", "services.trainer", "learn", *trigger, *told, *shared]


async def started(command: list[str], niceness: int) -> asyncio.subprocess.Process:
    """Starts it tied to this process, so that kill -9 of the service ends it too, and behind everything that serves."""
    tie = [sys.executable, "-S", "-E", str(Path(tied.__file__)), str(os.getpid())]
    polite = ["nice", "-n", str(niceness)] if niceness else []
    return await asyncio.create_subprocess_exec(
        *tie, *polite, *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL
    )


async def ended(process: asyncio.subprocess.Process) -> int:
    """Its exit status once it has ended; cancelled, this ends it first."""
    try:
        return await process.wait()
    except asyncio.CancelledError:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()
        raise
