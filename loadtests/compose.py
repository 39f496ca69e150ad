"""A running Compose project, seen from outside: commands with deadlines, health, a real kill -9 of a container."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from services.gateway.keys import ApiKeys
from services.runtime.errors import DeadlineExceeded, NotFound, Unavailable

COMMAND_S = 60.0
"""Deadline of a command that names none."""
ROOT = Path(__file__).parents[1]
_KEYS = """
import os, pathlib
from services.gateway.keys import read_or_create_keys
keys = read_or_create_keys(pathlib.Path(os.environ.get("CASCADE_DATA_DIR", ".data")))
print(keys.read, keys.write)
"""
_KILL = "import os, sys; os.kill(int(sys.argv[1]), 9)"


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What the engine says of a service's container."""

    container: str
    """Its id."""
    pid: int
    """Of its main process, as the engine's host counts; 0 when none runs."""
    started_at: str
    image: str
    healthy: bool
    """Running, and its health check agrees where it has one."""


@dataclass(frozen=True, slots=True)
class Compose:
    """A project whose containers were created by somebody else: nothing here builds, creates or removes one of them."""

    command: str = "docker compose"
    """How Compose is called, options included."""
    project_dir: Path = ROOT

    def run(self, *arguments: str, deadline_s: float = COMMAND_S, stdin: str | None = None) -> str:
        """Standard output of a compose command; Unavailable with its last words when it fails."""
        return _output([*shlex.split(self.command), *arguments], self.project_dir, deadline_s, stdin)

    def docker(self, *arguments: str, deadline_s: float = COMMAND_S) -> str:
        """The same for the engine behind the project."""
        words = shlex.split(self.command)
        engine = words[: words.index("compose")] if "compose" in words else ["docker"]
        return _output([*engine, *arguments], self.project_dir, deadline_s, None)

    def services(self) -> list[str]:
        """Services that run now: those with one task, done and gone, are not among them."""
        return self.run("ps", "--services", "--status", "running").split()

    def state(self, service: str) -> ContainerState:
        """Of the service's one container; NotFound when there is none."""
        container = self.run("ps", "--all", "--quiet", service).strip()
        if not container or "\n" in container:
            raise NotFound(f"The service {service} has not exactly one container.", field="service")
        return self._inspected(container)

    def _inspected(self, container: str) -> ContainerState:
        told = json.loads(self.docker("inspect", container))[0]
        state = told["State"]
        health = state.get("Health", {}).get("Status", "healthy")
        well = state["Status"] == "running" and health == "healthy"
        return ContainerState(container, int(state["Pid"]), state["StartedAt"], told["Image"], well)

    def python(self, service: str, program: str, *arguments: str) -> str:
        """What a Python program prints inside the service's container."""
        return self.run("exec", "-T", service, "python", "-", *arguments, stdin=program)

    def keys(self) -> ApiKeys:
        """The gateway's API keys, from inside its container."""
        read, write = self.python("gateway", _KEYS).split()
        return ApiKeys(read, write)

    def kill(self, service: str) -> ContainerState:
        """SIGKILL for the main process, from outside, as the kernel would do it; the state before.

        `docker kill` would not do: it counts as a manual stop, after which restart policies rest.
        """
        before = self.state(service)
        if not before.pid:
            raise Unavailable(f"The container of {service} does not run, so that it cannot be killed.")
        if os.geteuid() == 0 and _is_of(before.pid, before.container):
            os.kill(before.pid, signal.SIGKILL)
        else:
            own_image = self.state("gateway").image
            self.docker(
                "run", "--rm", "--pid=host", "--network=none", "--user=0", "--cap-add=KILL", "--entrypoint=python",
                own_image, "-c", _KILL, str(before.pid),
            )  # fmt: skip
        return before

    def restarted(self, before: ContainerState) -> bool:
        """True once the container is healthy in a process younger than that of `before`."""
        now = self._inspected(before.container)
        return now.healthy and now.started_at != before.started_at

    def wait_restarted(self, before: ContainerState, deadline_s: float) -> None:
        """DeadlineExceeded when the container is not `restarted` in time."""
        ends_at = time.monotonic() + deadline_s
        while not self.restarted(before):
            if time.monotonic() > ends_at:
                raise DeadlineExceeded(f"The container was not healthy again within {deadline_s:g} s.")
            time.sleep(0.2)


def _is_of(pid: int, container: str) -> bool:
    """Whether this process id means the container's process here too: the engine may count in another namespace."""
    try:
        return container in Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return False


def _output(command: list[str], folder: Path, deadline_s: float, stdin: str | None) -> str:
    told = shlex.join(command[:6])
    try:
        done = subprocess.run(command, cwd=folder, timeout=deadline_s, input=stdin, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        raise DeadlineExceeded(f"`{told}` took more than {deadline_s:g} s.") from None
    except FileNotFoundError:
        raise Unavailable(f"There is no program {command[0]}.") from None
    if done.returncode:
        words = (done.stderr or done.stdout).strip()[-500:]
        raise Unavailable(f"`{told}` ended with status {done.returncode}: {words}")
    return done.stdout
