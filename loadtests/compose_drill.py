"""python -m loadtests.compose_drill: SIGKILL for every container in turn under load, and an event log that is away.

Needs the Compose project running. For each service: its main process is killed, the restart policy brings it back,
answers become fresh again. Only a killed gateway may leave recommendations unanswered. In the end every event accepted
with 202 must be in the lake, exactly once.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random

from rich.console import Console

from loadtests import lake_ids
from loadtests.client import connected_by_key
from loadtests.compose import Compose, ContainerState
from loadtests.drills import Finding, Load, Patience, counted, drill, events_line, findings_table, steady
from loadtests.population import Population
from services.runtime.errors import CascadeError

EVENT_LOG = "kafka"
DOOR = "gateway"
STARTS_S = 180.0
"""A container with models to load may take this long to be healthy."""
USERS = 500
"""Users the load draws from."""


async def run(options: argparse.Namespace, console: Console) -> bool:
    """Every drill, then the count; True when nothing was lost, doubled or failed that should not."""
    compose = Compose(options.compose)
    keys = await asyncio.to_thread(compose.keys)
    victims = options.services or await asyncio.to_thread(compose.services)
    patience = Patience(recovery=STARTS_S + options.pause_kafka + options.freeze_kafka, drain=60.0, poll=0.3)
    findings: list[Finding] = []
    async with connected_by_key(options.url, keys.write) as client:
        people, draw = Population(options.known_users), Random(0)
        users = [people.arrival(draw) for _ in range(USERS)]
        async with steady(Load(client, users, await client.popular())) as load:
            for victim in victims:
                console.print(f"SIGKILL for {victim} …")
                findings.append(await _killed(load, compose, victim, patience))
            if options.pause_kafka:
                console.print(f"{EVENT_LOG} stopped for {options.pause_kafka:g} s …")
                findings.append(await _stopped(load, compose, options.pause_kafka, patience))
            if options.freeze_kafka:
                console.print(f"{EVENT_LOG} frozen for {options.freeze_kafka:g} s …")
                findings.append(await _frozen(load, compose, options.freeze_kafka, patience))
    console.print(findings_table("Containers broken under load", findings))

    async def in_lake() -> Sequence[str]:
        return await asyncio.to_thread(_event_ids, compose)

    count = await counted(load.accepted, in_lake, patience)
    console.print(events_line(load, count), soft_wrap=True)
    return all(_well(finding, patience) for finding in findings) and not count.missing and not count.doubled


async def _killed(load: Load, compose: Compose, victim: str, patience: Patience) -> Finding:
    before: list[ContainerState] = []

    async def break_it() -> None:
        before.append(await asyncio.to_thread(compose.kill, victim))

    async def is_back() -> bool:
        return await asyncio.to_thread(compose.restarted, before[0])

    return await drill(load, victim, break_it, is_back, patience)


async def _stopped(load: Load, compose: Compose, seconds: float, patience: Patience) -> Finding:
    before = await asyncio.to_thread(compose.state, EVENT_LOG)

    async def break_it() -> None:
        await asyncio.to_thread(compose.run, "stop", "--timeout", "10", EVENT_LOG)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(compose.run, "start", EVENT_LOG)

    async def is_back() -> bool:
        return await asyncio.to_thread(compose.restarted, before)

    return await drill(load, f"{EVENT_LOG}, {seconds:g} s", break_it, is_back, patience)


async def _frozen(load: Load, compose: Compose, seconds: float, patience: Patience) -> Finding:
    """Its process stands still: connections stay open, nobody answers, and what it holds in memory is kept."""

    async def break_it() -> None:
        await asyncio.to_thread(compose.run, "pause", EVENT_LOG)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(compose.run, "unpause", EVENT_LOG)

    async def is_back() -> bool:
        return (await asyncio.to_thread(compose.state, EVENT_LOG)).healthy

    return await drill(load, f"{EVENT_LOG}, frozen {seconds:g} s", break_it, is_back, patience)


def _event_ids(compose: Compose) -> list[str]:
    """Counted inside ingest's container, which has the lake's volume."""
    return compose.python("ingest", Path(lake_ids.__file__).read_text()).split()


def _well(finding: Finding, patience: Patience) -> bool:
    return finding.seconds < patience.recovery and (not finding.tally.failed or finding.broken == DOOR)


def main() -> None:
    """Exits with 1 when something was lost, doubled or failed, with 2 when there is no project to break."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("services", nargs="*", help="which to kill, in this order; all that run when none is named")
    arguments.add_argument("--url", default="http://127.0.0.1:8000")
    arguments.add_argument("--compose", default="docker compose", help="how Compose is called, options included")
    arguments.add_argument("--pause-kafka", type=float, default=0.0, metavar="SECONDS", help="stop kafka this long too")
    arguments.add_argument("--freeze-kafka", type=float, default=0.0, metavar="SECONDS", help="and let it stand still")
    arguments.add_argument("--known-users", type=int, default=6040, help="users 1 to N are known to the models")
    try:
        well = asyncio.run(run(arguments.parse_args(), Console()))
    except CascadeError as error:
        print(f"compose_drill: {error.sentence}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
