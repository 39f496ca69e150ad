"""The processes of the bench: the fake upstream, our gateway, the LiteLLM proxy, and the client.

async with peers.gateway(folder, [upstream.port]) as ours:
    ours.url, ours.cpu_seconds, ours.rss_mib
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
from ephemeral_port_reserve import reserve

from loadtests.llm import configs
from loadtests.llm.rounds import Plan, Seen
from services.runtime.errors import Unavailable

ROOT = Path(__file__).parents[2]
START_SECONDS = 60.0
LITELLM_START_SECONDS = 180.0
"""It imports for a while on a busy machine."""
STOP_SECONDS = 10.0
ROUND_SECONDS = 300.0
"""No round takes longer."""
MIB = 1024 * 1024
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Peer:
    """A server that runs."""

    name: str
    port: int
    process: psutil.Process

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def cpu_seconds(self) -> float:
        """User and system time since it started, its children's too."""
        times = self.process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)

    @property
    def rss_mib(self) -> float:
        """Memory that is resident."""
        return float(self.process.memory_info().rss) / MIB


class Caller:
    """The client's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def run(self, plan: Plan) -> Seen:
        """One round; Unavailable when the client died or the round has no end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(plan.line)
        async with asyncio.timeout(ROUND_SECONDS):
            line = await self._process.stdout.readline()
        if not line:
            raise Unavailable("The client's process ended within a round; what it wrote above says why.")
        return Seen.read(line)


@asynccontextmanager
async def caller() -> AsyncIterator[Caller]:
    """A client for one round at a time."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "loadtests.llm.caller",
        cwd=ROOT, env=_environment({}), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=64 * MIB,
    )  # fmt: skip
    try:
        yield Caller(process)
    finally:
        await _ended(process)


@asynccontextmanager
async def upstream(
    folder: Path, name: str = "upstream", *, port: int = 0, words: int = 6, seconds_a_word: float = 0.0
) -> AsyncIterator[Peer]:
    """The fake upstream."""
    port = port or reserve("127.0.0.1")
    command = [sys.executable, "-m", "loadtests.llm.upstream", "--name", name, "--port", str(port)]
    command += ["--words", str(words), "--seconds-a-word", str(seconds_a_word)]
    async with _running(name, command, port, "/v1/models", folder, {}, START_SECONDS) as peer:
        yield peer


@asynccontextmanager
async def gateway(folder: Path, upstreams: Sequence[int], *, guardrails: bool = True) -> AsyncIterator[Peer]:
    """Ours, as `python -m services.llm` starts it, in front of upstreams on these ports."""
    name, port = "ours" if guardrails else "ours-without-guardrails", reserve("127.0.0.1")
    data_dir = folder / f"{name}-{port}"
    data_dir.mkdir()
    config = data_dir / "models.toml"
    config.write_text(configs.ours(upstreams, guardrails=guardrails))
    environment = {
        "CASCADE_LLM_CONFIG": str(config),
        "CASCADE_LLM_PORT": "0",
        "CASCADE_LLM_REST_PORT": str(port),
        "CASCADE_DATA_DIR": str(data_dir),
        "CASCADE_LOG_LEVEL": "WARNING",
        "BENCH_KEY": configs.KEY,
        "BENCH_POOR_KEY": configs.POOR_KEY,
    }
    command = [sys.executable, "-m", "services.llm"]
    async with _running(name, command, port, "/health/live", folder, environment, START_SECONDS) as peer:
        yield peer


@asynccontextmanager
async def litellm(executable: Path, folder: Path, upstream_port: int) -> AsyncIterator[Peer]:
    """The LiteLLM proxy, one worker, quiet."""
    port, config = reserve("127.0.0.1"), folder / "litellm.yaml"
    config.write_text(configs.litellm(upstream_port))
    command = [str(executable), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    command += ["--num_workers", "1", "--telemetry", "False"]
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
    ready = "/health/liveliness"
    async with _running("litellm", command, port, ready, folder, environment, LITELLM_START_SECONDS) as peer:
        yield peer


def found_litellm(told: Path | None) -> Path | None:
    """The executable that was named, that of the folder beside ours, or the one on PATH; None when there is none."""
    beside = ROOT / ".venv-litellm" / "bin" / "litellm"
    on_path = shutil.which("litellm")
    places = [told] if told is not None else [beside, *([Path(on_path)] if on_path else [])]
    return next((place for place in places if place.is_file()), None)


@asynccontextmanager
async def _running(
    name: str,
    command: Sequence[str],
    port: int,
    ready: str,
    folder: Path,
    environment: Mapping[str, str],
    seconds: float,
) -> AsyncIterator[Peer]:
    with (folder / f"{name}-{port}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=_environment(environment), stdout=log, stderr=asyncio.subprocess.STDOUT
        )
    try:
        await _answers(process, f"http://127.0.0.1:{port}{ready}", name, Path(log.name), seconds)
        yield Peer(name, port, psutil.Process(process.pid))
    finally:
        await _ended(process)


async def _answers(process: asyncio.subprocess.Process, url: str, name: str, log: Path, seconds: float) -> None:
    """Waits until it does; Unavailable with the end of its log when it does not."""
    deadline = time.monotonic() + seconds
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
        while time.monotonic() < deadline and process.returncode is None:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError):
                pass
            await asyncio.sleep(0.05)
    raise Unavailable(f"{name} did not answer at {url} within {seconds:g} s. The end of its log:\n{_end_of(log)}")


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-600:]


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    # What the shell says of a stack of its own must not reach the peers.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CASCADE_")}
    return inherited | _ONE_THREAD | dict(more)
