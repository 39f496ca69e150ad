"""Starts the processes wave by wave, restarts what dies with growing pauses, and stops them in the reverse order."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from circus import logger as circus_logger
from circus.arbiter import Arbiter
from circus.watcher import Watcher
from tornado.ioloop import IOLoop

from services.local import tied
from services.local.layout import Program, Waves
from services.local.output import PrefixedOutput
from services.local.readiness import wait_ready
from services.runtime.errors import CascadeError

CHECK_SECONDS = 0.1
"""How often Circus looks for the dead."""
FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
CALM_SECONDS = 20.0
"""A process that lived this long is not failing again and again: its next pause is the first one."""
CANNOT_START = 2
"""Exit status of a process that said in one sentence why it cannot start; starting it again would not help."""


class CannotStart(CascadeError):
    """A process gave up, or the stack was not ready in time."""


class Manager:
    """The processes of a stack, by name. Use it in one asyncio loop of the main thread.

    manager = Manager(layout(settings), stop_seconds=10)
    await manager.start(deadline_s=120)     # every process is ready, or CannotStart
    manager.pids()                          # {"redis": 4711, ...}
    await manager.stop()                    # nobody is left
    """

    def __init__(
        self, waves: Waves, *, stop_seconds: float, changed: Callable[[Mapping[str, int]], None] = lambda pids: None
    ) -> None:
        self._waves = [list(wave) for wave in waves]
        self._changed = changed
        self._outputs: dict[str, PrefixedOutput] = {}
        self._started_at: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._starting = True
        self._stopping = False
        self._gave_up: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        circus_logger.setLevel("CRITICAL")
        self._watchers = {
            program.name: self._watcher(program, position, stop_seconds)
            for position, program in enumerate(program for wave in self._waves for program in wave)
        }
        self._arbiter = Arbiter(
            list(self._watchers.values()), "inproc://control", "inproc://happenings",
            check_delay=-1, loop=IOLoop.current(),
        )  # fmt: skip
        # Circus refuses a command while another runs, its own look for the dead included: they take turns here.
        self._turn = asyncio.Lock()
        self._looking: asyncio.Task[None] | None = None

    async def start(self, deadline_s: float) -> None:
        """Starts wave after wave. CannotStart when a process gives up or the deadline passes; call `stop` then too."""
        await self._arbiter.start()
        self._looking = asyncio.create_task(self._look_for_the_dead())
        try:
            async with asyncio.timeout(deadline_s):
                for wave in self._waves:
                    await self._start_wave(wave)
        except TimeoutError:
            raise CannotStart(
                f"The stack was not ready within {deadline_s:g} s; the log above tells what waits."
            ) from None
        self._starting = False

    async def stop(self) -> None:
        """Stops the waves, last first; returns when every process is gone."""
        self._stopping = True
        for wave in reversed(self._waves):
            await self._in_turn(self._arbiter.stop_watchers, self._chooser(wave))
        if self._looking is not None:
            self._looking.cancel()
        await self._in_turn(self._arbiter.stop)

    def kill(self) -> None:
        """Ends every process at once, without asking."""
        for pid in self.pids().values():
            os.kill(pid, signal.SIGKILL)

    def pids(self) -> dict[str, int]:
        """Name -> process id of what runs now."""
        return {name: pid for name, watcher in self._watchers.items() for pid in watcher.processes}

    async def _start_wave(self, wave: Sequence[Program]) -> None:
        for program in wave:
            self._watchers[program.name].autostart = True
        await self._in_turn(self._arbiter.start_watchers, self._chooser(wave))
        ready = asyncio.create_task(_all_ready(wave))
        waits: list[asyncio.Future[Any]] = [ready, self._gave_up]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if self._gave_up.done():
                raise CannotStart(self._gave_up.result())
            ready.result()
        finally:
            ready.cancel()
            await asyncio.wait([ready])

    async def _look_for_the_dead(self) -> None:
        while True:
            await self._in_turn(self._arbiter.manage_watchers)
            await asyncio.sleep(CHECK_SECONDS)

    async def _in_turn(self, command: Callable[..., Awaitable[Any]], *arguments: object) -> None:
        async with self._turn:
            await command(*arguments)

    def _chooser(self, wave: Sequence[Program]) -> Callable[..., list[Any]]:
        chosen = [self._watchers[program.name] for program in wave]
        return lambda reverse=True: chosen

    def _watcher(self, program: Program, position: int, stop_seconds: float) -> Any:
        output = self._outputs[program.name] = PrefixedOutput(program.name, position)
        tie = [str(Path(tied.__file__)), str(os.getpid())]
        return Watcher(
            program.name,
            shlex.quote(sys.executable),
            args=["-S", "-E", *tie, *program.command],
            env={**os.environ, **program.environment},
            working_dir=os.getcwd(),
            autostart=False,
            graceful_timeout=stop_seconds,
            stdout_stream={"stream": output},
            stderr_stream={"stream": output},
            hooks={
                "after_spawn": (self._spawned, False),
                "before_reap": (self._died, True),
                "after_reap": (self._reaped, True),
            },
        )

    def _spawned(self, watcher: Any, **_: Any) -> bool:
        self._started_at[watcher.name] = time.monotonic()
        self._changed(self.pids())
        return True

    def _died(self, watcher: Any, process_pid: int, **_: Any) -> None:
        """Circus closes the pipes of the dead: what they said last is still in there."""
        process = watcher.processes[process_pid]
        for pipe in (process.stdout, process.stderr):
            os.set_blocking(pipe.fileno(), False)
            if last := pipe.read():
                self._outputs[watcher.name]({"data": last})

    def _reaped(self, watcher: Any, exit_code: int | None = None, **_: Any) -> None:
        if self._stopping:
            return
        name = watcher.name
        if self._starting and exit_code == CANNOT_START:
            watcher.numprocesses = 0
            if not self._gave_up.done():
                said = self._outputs[name].sentence or "Its last line above says why."
                self._gave_up.set_result(f"{name} cannot start. {said}")
            return
        calm = time.monotonic() - self._started_at[name] > CALM_SECONDS
        pause = (
            FIRST_PAUSE_SECONDS
            if calm or name not in self._pauses
            else min(2 * self._pauses[name], LONGEST_PAUSE_SECONDS)
        )
        self._pauses[name] = pause
        self._outputs[name].say(f"ended with {_status(exit_code)}; starting again in {pause:g} s")
        # With no process wanted Circus leaves the watcher alone; with one wanted again it starts it.
        watcher.numprocesses = 0
        asyncio.get_running_loop().call_later(pause, setattr, watcher, "numprocesses", 1)
        self._changed(self.pids())


async def _all_ready(wave: Sequence[Program]) -> None:
    await asyncio.gather(*(wait_ready(program) for program in wave))


def _status(exit_code: int | None) -> str:
    if exit_code is None:
        return "an unknown status"
    return signal.Signals(-exit_code).name if exit_code < 0 else f"status {exit_code}"
