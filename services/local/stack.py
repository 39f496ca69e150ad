"""The stack for programs: start it as a child, know its processes, stop it.

async with local_stack(Path(".data")) as stack:
    stack.urls["gateway"]            # http://127.0.0.1:8000
    os.kill(stack.pids()["ranker"], signal.SIGKILL)

A stack that was started elsewhere, `make up` in another terminal, is found by `running_stack(data_dir)`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from services.local import tied
from services.runtime.errors import NotFound, Unavailable

STATE = "stack.json"
"""File in the data folder in which the manager says what runs."""


@dataclass(frozen=True, slots=True)
class StackState:
    """What a manager says about itself."""

    manager: int
    """Its process id."""
    ready: bool
    """True once every process was ready."""
    urls: dict[str, str] = field(default_factory=dict)
    """Name -> where the process answers."""
    pids: dict[str, int] = field(default_factory=dict)
    """Name -> process id; a process that is being restarted is missing."""

    def write(self, data_dir: Path) -> None:
        """Replaces the file, whole or not at all."""
        with tempfile.NamedTemporaryFile("w", dir=data_dir, prefix=f".{STATE}.", delete=False) as draft:
            json.dump(asdict(self), draft)
        os.replace(draft.name, data_dir / STATE)


def running_stack(data_dir: Path) -> StackState:
    """What runs on this data folder; NotFound when nothing does."""
    try:
        state = StackState(**json.loads((data_dir / STATE).read_text()))
        os.kill(state.manager, 0)
    except (FileNotFoundError, ProcessLookupError):
        raise NotFound(f"No stack runs on {data_dir}; start one with: make up") from None
    return state


class LocalStack:
    """`python -m services` as a child process of this one; it ends with this process, even when that is killed."""

    def __init__(
        self,
        data_dir: Path,
        environment: Mapping[str, str] | None = None,
        output: IO[bytes] | int | None = None,
        command: Sequence[str] = (sys.executable, "-m", "services"),
    ) -> None:
        self._data_dir = data_dir
        self._environment = {**os.environ, **(environment or {}), "CASCADE_DATA_DIR": str(data_dir)}
        self._output = output
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts the manager; see `wait_ready`. Call it from the main thread."""
        tie = [sys.executable, "-S", "-E", str(Path(tied.__file__)), str(os.getpid())]
        # A session of its own: Ctrl-C reaches this process, which then stops the stack in good order.
        self._process = subprocess.Popen(
            [*tie, *self._command], env=self._environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=self._output, stderr=self._output,
        )  # fmt: skip

    def wait_ready(self, deadline_s: float = 120.0) -> None:
        """Returns when every service is ready; Unavailable when the manager ends or the deadline passes."""
        assert self._process is not None, "start() comes first"
        ends_at = time.monotonic() + deadline_s
        while time.monotonic() < ends_at:
            if (status := self._process.poll()) is not None:
                raise Unavailable(f"The stack ended with status {status} before it was ready; its log says why.")
            try:
                state = running_stack(self._data_dir)
            except NotFound:
                state = None
            if state is not None and state.manager == self._process.pid and state.ready:
                return
            time.sleep(0.05)
        raise Unavailable(f"The stack was not ready within {deadline_s:g} s.")

    def pids(self) -> dict[str, int]:
        """Name -> process id of what runs now."""
        return running_stack(self._data_dir).pids

    @property
    def urls(self) -> dict[str, str]:
        """Name -> where the process answers."""
        return running_stack(self._data_dir).urls

    def stop(self, deadline_s: float = 60.0) -> int:
        """Stops everything and returns the manager's exit status; kills it after the deadline."""
        if self._process is None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


@asynccontextmanager
async def local_stack(
    data_dir: Path,
    environment: Mapping[str, str] | None = None,
    *,
    output: IO[bytes] | int | None = None,
    deadline_s: float = 120.0,
) -> AsyncIterator[LocalStack]:
    """A stack for the length of the block. `output` is a file for the logs; None keeps this process's own."""
    stack = LocalStack(data_dir, environment, output)
    stack.start()
    try:
        await asyncio.to_thread(stack.wait_ready, deadline_s)
        yield stack
    finally:
        await asyncio.to_thread(stack.stop)
