"""The service's runs: starts what is due or asked for, one at a time, and tells everybody how far it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from services.runtime.errors import CascadeError, Conflict
from services.runtime.logs import get_logger
from services.runtime.metrics import TRAINING_RUNS, TRAINING_SECONDS
from services.trainer.runs.child import command, ended, started
from services.trainer.runs.folder import Runs
from services.trainer.runs.record import Kind, Run
from services.trainer.schedule import Due, Schedule
from services.trainer.settings import TrainerSettings

LOOK_SECONDS = 0.5
"""How often run.json is looked at while a run goes on."""
COUNT_SECONDS = 5.0
"""How often the schedule is asked, and the lake counted."""
OUTCOMES = {0: "published", 3: "refused", 4: "nothing"}

log = get_logger("trainer")


@dataclass(frozen=True, slots=True)
class Status:
    """What goes on, what went before and what comes next."""

    current: Run | None = None
    recent: tuple[Run, ...] = ()
    next_at: datetime | None = None
    new_examples: int = 0
    examples_wanted: int = 0


@dataclass(slots=True)
class Supervisor:
    """Use `supervising`. Belongs to one event loop."""

    settings: TrainerSettings
    runs: Runs
    schedule: Schedule
    command: Callable[[TrainerSettings, Run], list[str]] = command
    _status: Status = field(default_factory=Status)
    _asked: asyncio.Queue[Run] = field(default_factory=lambda: asyncio.Queue(1))
    _active: Run | None = None
    _pid: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _tried_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _draining: bool = False
    _not_before: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def status(self) -> Status:
        """As of the last look."""
        return self._status

    async def start(self, kind: Kind) -> Run:
        """A run on request. Conflict while another one goes on, here or in another process.

        A continuous run that was killed is gone on with under its own id.
        """
        if self._active is not None or not self._asked.empty() or await asyncio.to_thread(self.runs.busy):
            raise Conflict(f"A run goes on already{self._what()}. Wait for it to end.")
        run = Run.begin(kind, "request")
        self._asked.put_nowait(run)
        return run

    async def watch(self) -> AsyncIterator[Status]:
        """The status now, and after every change. A slow reader skips what it missed."""
        told: Status | None = None
        while not self._draining:
            changed = self._changed
            if self._status != told:
                told = self._status
                yield told
            await changed.wait()

    def drain(self) -> None:
        """Ends the streams."""
        self._draining = True
        self._changed.set()

    def _what(self) -> str:
        current = self._status.current or self._active
        return "" if current is None else f": {current.kind} {current.run_id}, stage {current.stage or 'starting'}"

    def _tell(self, status: Status) -> None:
        if status == self._status:
            return
        before, self._status = self._status.current, status
        now = status.current
        if now is not None and (before is None or (before.run_id, before.stage) != (now.run_id, now.stage)):
            log.info("training", run=now.run_id, kind=now.kind, trigger=now.trigger, stage=now.stage or "starting")
        self._changed.set()
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        """Runs what is due or asked for, until it is cancelled."""
        while True:
            due = await self._due()
            if due is not None and due.kind is not None:
                await self._run(Run.begin(due.kind, due.trigger))
                continue
            try:
                run = await asyncio.wait_for(self._asked.get(), COUNT_SECONDS)
            except TimeoutError:
                continue
            await self._run(run)

    async def _due(self) -> Due | None:
        if not self._asked.empty():
            return None
        try:
            due = await asyncio.to_thread(self.schedule.due, self._tried_at, self._not_before)
        except CascadeError as error:
            log.warning("the schedule cannot be read", reason=error.sentence)
            return None
        await self._look(due)
        return None if self._status.current is not None else due

    async def _look(self, due: Due | None = None) -> None:
        """Reads the runs, and tells when something changed."""
        recent = await asyncio.to_thread(self.runs.recent)
        busy = self._active is not None or await asyncio.to_thread(self.runs.busy)
        going = next((run for run in recent if run.state == "running"), None) if busy else None
        ended = tuple(run for run in recent if run.state != "running")
        status = replace(
            self._status,
            current=going or self._unwritten(recent),
            recent=ended,
            examples_wanted=self.settings.learn_examples,
        )
        if due is not None:
            status = replace(status, next_at=due.next_at, new_examples=due.new_examples)
        self._tell(status)

    def _unwritten(self, recent: Sequence[Run]) -> Run | None:
        """The run whose process has begun and not written anything yet."""
        if self._active is None or any(self._pid and run.pid == self._pid for run in recent):
            return None
        return self._active

    async def _run(self, run: Run) -> None:
        self._active = run
        try:
            with TRAINING_SECONDS.time():
                status = await self._watched(run)
        finally:
            self._active, self._pid = None, 0
        outcome = OUTCOMES.get(status, "failed")
        TRAINING_RUNS.labels(outcome).inc()
        self._tried_at = datetime.now(UTC)
        if outcome == "failed":
            pause = timedelta(minutes=self.settings.retry_minutes)
            self._not_before = self._tried_at + pause
            log.error("training failed", status=status, again_in_minutes=round(pause.total_seconds() / 60, 1))
        else:
            log.info("training ended", run=run.run_id, outcome=outcome)
        await self._look()

    async def _watched(self, run: Run) -> int:
        await self._look()
        process = await started(self.command(self.settings, run), self.settings.niceness)
        self._pid = process.pid
        ending = asyncio.create_task(ended(process))
        try:
            while not ending.done():
                await asyncio.wait([ending], timeout=LOOK_SECONDS)
                await self._look()
        finally:
            ending.cancel()
            await asyncio.gather(ending, return_exceptions=True)
        return ending.result()


@asynccontextmanager
async def supervising(supervisor: Supervisor) -> AsyncIterator[asyncio.Task[None]]:
    """Follows the schedule in the background; leaving the block ends a run that goes on."""
    task = asyncio.create_task(supervisor.follow())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
