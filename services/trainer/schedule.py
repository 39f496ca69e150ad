"""When the champion is due to be trained anew, and the runs that do it, one at a time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from services.runtime.errors import CascadeError
from services.runtime.logs import get_logger
from services.runtime.metrics import TRAINING_RUNS, TRAINING_SECONDS
from services.runtime.registry import CHAMPION, Registry
from services.trainer.settings import TrainerSettings

log = get_logger("trainer")

STOP_SECONDS = 10.0


def command(settings: TrainerSettings) -> list[str]:
    """A run as a process of its own: what it allocates goes when it ends."""
    return [
        sys.executable, "-m", "services.trainer", "train", "--data-dir", str(settings.data_dir),
        "--dataset", settings.dataset, "--registry-url", settings.registry_url,
    ]  # fmt: skip


class Schedule:
    """Due when the ranker's champion is `every_hours` old; a failed run is tried again after `retry_minutes`.

    The age is read from the registry, so a restart neither forgets a run that is due nor repeats one that is done.
    """

    def __init__(
        self, registry: Registry, settings: TrainerSettings, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._registry = registry
        self._every = timedelta(hours=settings.every_hours)
        self._now = now

    def due_in(self) -> float:
        """Seconds until the next run; 0 when it is due. NotFound without a champion. Blocks."""
        trained = datetime.fromisoformat(self._registry.resolve("ranker", CHAMPION).manifest.lineage["created_at"])
        return max(0.0, (trained + self._every - self._now()).total_seconds())


@asynccontextmanager
async def following(schedule: Schedule, run: Sequence[str], retry_s: float) -> AsyncIterator[asyncio.Task[None]]:
    """Runs in the background whenever it is due; leaving the block ends a run that goes on."""
    task = asyncio.create_task(_follow(schedule, run, retry_s))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _follow(schedule: Schedule, run: Sequence[str], retry_s: float) -> None:
    while True:
        try:
            wait = await asyncio.to_thread(schedule.due_in)
        except CascadeError as error:
            log.warning("the schedule cannot be read", reason=error.sentence)
            wait = retry_s
        else:
            log.info("next training", in_hours=round(wait / 3600, 2))
        await asyncio.sleep(wait)
        with TRAINING_SECONDS.time():
            status = await _run_once(run)
        TRAINING_RUNS.labels("failed" if status else "published").inc()
        if status:
            log.error("training failed", status=status, again_in_minutes=round(retry_s / 60, 1))
        # After a success too: should the champion still be due, nothing would hold the loop back.
        await asyncio.sleep(retry_s)


async def _run_once(run: Sequence[str]) -> int:
    """Exit status of one run."""
    log.info("training")
    process = await asyncio.create_subprocess_exec(*run, stdin=asyncio.subprocess.DEVNULL)
    try:
        return await process.wait()
    except asyncio.CancelledError:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
        raise
