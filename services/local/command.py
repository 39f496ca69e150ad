"""`python -m services`: starts everything, says where it is, and stops it on Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.ingest.bootstrap import fill_online_store
from services.local.layout import Waves, layout
from services.local.manager import Manager
from services.local.settings import LocalSettings
from services.local.stack import STATE, StackState
from services.runtime.errors import CascadeError, SettingsError
from services.runtime.settings import read_settings
from services.trainer.progress import TRAINED


def main() -> None:
    """Exits with 0 after a stop, with 2 and one sentence when the stack cannot start."""
    try:
        settings = read_settings(LocalSettings)
        waves = layout(settings)
        require_trained(settings.data_dir)
        # After a training by hand the store may be empty; what it holds already it is not asked for again.
        fill_online_store(settings.data_dir, settings.redis_url)
        asyncio.run(run_stack(settings, waves))
    except CascadeError as error:
        print(f"cascade: {error.sentence}", file=sys.stderr)
        sys.exit(2)


def require_trained(data_dir: Path) -> None:
    """SettingsError when there are no models to serve, rather than services that wait for them in vain."""
    if not (data_dir / TRAINED).is_file():
        raise SettingsError(f"Nothing is trained in {data_dir} yet. Run: make demo", field="data_dir")


async def run_stack(settings: LocalSettings, waves: Waves) -> None:
    """Runs the processes until SIGINT or SIGTERM; a second SIGINT kills them at once."""
    urls = {program.name: program.url for wave in waves for program in wave}
    ready = False

    def tell(pids: Mapping[str, int]) -> None:
        StackState(os.getpid(), ready, urls, dict(pids)).write(settings.data_dir)

    settings.data_dir.mkdir(parents=True, exist_ok=True)
    manager = Manager(waves, stop_seconds=settings.stop_seconds, changed=tell)
    stopped = _stop_signals(manager)
    try:
        starting = asyncio.create_task(manager.start(settings.start_seconds))
        await _first(starting, stopped)
        if not stopped.done():
            ready = True
            tell(manager.pids())
            _announce(urls)
            await stopped
    finally:
        await manager.stop()
        (settings.data_dir / STATE).unlink(missing_ok=True)


async def _first(starting: asyncio.Task[None], stopped: asyncio.Future[None]) -> None:
    """Waits for the start or for a stop; raises what the start raised."""
    await asyncio.wait([starting, stopped], return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()
    else:
        starting.cancel()
        await asyncio.wait([starting])


def _stop_signals(manager: Manager) -> asyncio.Future[None]:
    """A future that SIGINT, SIGTERM and SIGHUP resolve. Circus set handlers of its own, which these replace."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[None] = loop.create_future()

    def stop(number: signal.Signals) -> None:
        if not stopped.done():
            stopped.set_result(None)
        elif number == signal.SIGINT:
            manager.kill()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop, number)
    return stopped


def _announce(urls: Mapping[str, str]) -> None:
    table = Table(title="Cascade is ready", title_justify="left", show_header=False)
    for name, url in urls.items():
        table.add_row(name, url)
    if gateway := urls.get("gateway"):
        table.add_row("API", f"{gateway}/docs")
    Console().print(table, "Ctrl-C stops everything.")
