"""How far a run is, for the person at the console and in run.json for everybody else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.trainer.progress import Steps
from services.trainer.runs.folder import Runs
from services.trainer.runs.record import Run

WRITE_SECONDS = 0.5
"""run.json is written this often at most while a stage goes on."""


class Telling(Steps):
    """Steps that are written into a run too; the stage is what stands before the colon."""

    def __init__(self, runs: Runs, run: Run, steps: Steps) -> None:
        super().__init__(steps.console)
        self.runs, self.run = runs, run

    @contextmanager
    def step(self, text: str) -> Iterator[Callable[[int, int], None]]:
        """As of Steps."""
        written = 0.0

        def tell(done: int, planned: int) -> None:
            nonlocal written
            advance(done, planned)
            self.run.done, self.run.planned = done, planned
            if time.monotonic() - written > WRITE_SECONDS:
                written = time.monotonic()
                self.runs.write(self.run)

        self.run.stage, self.run.done, self.run.planned = text.partition(":")[0], 0, 0
        self.runs.write(self.run)
        with super().step(text) as advance:
            yield tell
