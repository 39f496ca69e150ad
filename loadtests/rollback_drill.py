"""python -m loadtests.rollback_drill: how soon a promotion and a rollback by hand reach the last visitor.

The champions' own files are registered once more, as versions that answer the same under another number. Under
visitors these are promoted and rolled back through REST, the ranker first and then the three retrieval models. The exit
code is 1 when an answer failed or an old version was served longer than promised.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from loadtests.client import Client, connected
from loadtests.witnesses import Crowd, Noticed, Seen, visiting
from services.runtime.errors import CascadeError, Unavailable
from services.runtime.registry import Registry
from services.trainer.rollout.aliases import family

PROMISED_S = 5.0
"""From the call to the last answer of the old version."""
CALM_S = 10.0
"""Visitors alone, before a change and after it."""
READY_S = 60.0
"""Longest wait for the first answer of the other version."""
POLL_S = 0.05
MODELS = ("ranker", "two_tower")


@dataclass(frozen=True, slots=True)
class Change:
    """A promotion or a rollback of one model."""

    model: str
    verb: str
    call: float
    """Seconds until the call was answered."""
    old_last: float
    """Seconds from the call to the last answer of the old version."""
    new_first: float
    """Seconds from the call to the first answer of the new one."""
    answers: int
    failed: int
    degraded: int

    @property
    def well(self) -> bool:
        return not self.failed and self.old_last <= PROMISED_S


async def drill(url: str, data_dir: Path, registry: Registry, rate: float) -> list[Change]:
    """Every change in turn, under `rate` visits a second."""
    changes, crowd = [], Crowd.of(data_dir)
    async with connected(url, data_dir) as client:
        for model in MODELS:
            old, new = twin(registry, model)
            changes.append(await changed(client, crowd, rate, model, ("promote", old, new)))
            changes.append(await changed(client, crowd, rate, model, ("rollback", new, old)))
    return changes


def twin(registry: Registry, model: str) -> tuple[str, str]:
    """(the champion's version, another version of the same files); retrieval models are registered together."""
    tags = {"gate": "not asked: the champion once more, by loadtests.rollback_drill"}
    made = {name: registry.publish(name, registry.resolve(name).folder, tags=tags) for name in family(model)}
    return registry.resolve(model).version, made[model]


async def changed(client: Client, crowd: Crowd, rate: float, model: str, change: tuple[str, str, str]) -> Change:
    """One change from an old version to a new one. Unavailable when it is refused or never seen."""
    verb, old, new = change
    async with visiting(client, crowd, rate) as noticed:
        await asyncio.sleep(CALM_S)
        body = {"version": new} if verb == "promote" else {}
        champions, called = await _call(client, model, verb, body)
        if champions.get(model) != new:
            # A release of the trainer's was on its way: the first rollback ended that one.
            champions, called = await _call(client, model, verb, body)
        answered = time.monotonic()
        await _seen_after(noticed, f"{model} {new}", called)
        await asyncio.sleep(CALM_S)
    before = noticed.of(f"{model} {old}")
    first = noticed.of(f"{model} {new}").first
    return Change(
        model, verb, answered - called, _since(called, before), first - called, noticed.answers, noticed.failed,
        noticed.degraded.total(),
    )  # fmt: skip


async def _call(client: Client, model: str, verb: str, body: dict[str, str]) -> tuple[dict[str, str], float]:
    """(champions that changed, monotonic time of the call). Unavailable when it is refused."""
    called = time.monotonic()
    async with client.session.post(f"{client.url}/v1/models/{model}:{verb}", json=body) as response:
        told = await response.json()
    if response.status != 200:
        raise Unavailable(f"The {verb} of {model} was answered with {response.status}: {told.get('detail', told)}")
    champions: dict[str, str] = told["champions"]
    return champions, called


def _since(called: float, seen: Seen) -> float:
    """0 when the version answered nobody after the call."""
    return max(0.0, seen.last - called)


async def _seen_after(noticed: Noticed, version: str, called: float) -> None:
    while noticed.of(version).last < called:
        if time.monotonic() > called + READY_S:
            raise Unavailable(f"{version} answered nobody within {READY_S:g} s.")
        await asyncio.sleep(POLL_S)


def show(console: Console, changes: list[Change]) -> None:
    """One line a change. Seconds from the call: to its answer, the first of the new version, the last of the old."""
    table = Table(title="Promotion and rollback by hand", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("model", "change"):
        table.add_column(heading, no_wrap=True)
    for heading in ("call s", "new s", "old s", "answers", "failed", "degraded"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in changes:
        colour = "green" if one.well else "red"
        times = (f"{one.call:.2f}", f"{one.new_first:.2f}", f"[{colour}]{one.old_last:.2f}")
        table.add_row(one.model, one.verb, *times, *map(str, (one.answers, one.failed, one.degraded)))
    console.print(table)


def main() -> None:
    """Exits with 1 when a promise was broken, with 2 when the drill cannot be held."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data-dir", type=Path, default=Path(os.environ.get("CASCADE_DATA_DIR", ".data")))
    arguments.add_argument("--registry-url", default=os.environ.get("CASCADE_REGISTRY_URL", ""), help="MLflow server")
    arguments.add_argument("--url", default="http://127.0.0.1:8000", help="gateway of the running stack")
    arguments.add_argument("--rate", type=float, default=20.0, help="visits a second")
    options = arguments.parse_args()
    try:
        registry = Registry.open(options.data_dir, options.registry_url, create=False)
        changes = asyncio.run(drill(options.url, options.data_dir, registry, options.rate))
    except CascadeError as error:
        print(f"rollback_drill: {error.sentence}", file=sys.stderr)
        sys.exit(2)
    show(Console(), changes)
    sys.exit(0 if all(change.well for change in changes) else 1)


if __name__ == "__main__":
    main()
