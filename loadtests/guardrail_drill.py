"""A release goes out to simulated visitors; how soon a guardrail ends it, and what the visitors noticed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from loadtests.client import Client, connected
from loadtests.witnesses import Crowd, Noticed, visiting
from services.runtime.registry import Registry
from services.trainer.rollout.release import start_release

DEADLINE_S = 600.0
"""A release that is still on its way then was not stopped."""
POLL_S = 0.25
PROMISED_S = 60.0
"""From the first bad answer to the end of the release."""
SETTLED_S = 3.0
"""Requests that were on their way when the release ended are answered by then."""
ENDED = ("rolled_back", "champion")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a release ended."""

    stage: str
    """rolled_back, champion, or the stage it was in at the deadline."""
    caught_in: str
    """The stage before."""
    reason: str
    seconds: float
    """From its start to its end."""
    noticed: Noticed
    by_it: int
    """Answers that were the challenger's."""
    exposed: float
    """Seconds from the first answer that was the challenger's to the last one or the end; 0 when nobody got one."""

    @property
    def well(self) -> bool:
        """True when it was rolled back in time and every visitor got an answer."""
        return self.stage == "rolled_back" and self.exposed <= PROMISED_S and not self.noticed.failed


async def drill(url: str, data_dir: Path, registry: Registry, versions: Mapping[str, str], rate: float) -> Outcome:
    """Releases versions under `rate` visitors a second and waits for the end; a release on its way makes room."""
    model = "ranker" if "ranker" in versions else "two_tower"
    async with connected(url, data_dir) as client, visiting(client, Crowd.of(data_dir), rate) as noticed:
        begun = time.monotonic()
        release = await asyncio.to_thread(start_release, registry, versions, supersede=True)
        told, caught_in = await _end_of(client, release)
        ended = time.monotonic()
        await asyncio.sleep(SETTLED_S)
    seen = noticed.of(f"{model} {versions[model]}")
    exposed = max(ended, seen.last) - seen.first if seen.answers else 0.0
    return Outcome(told["stage"], caught_in, told["reason"], ended - begun, noticed, seen.answers, exposed)


async def _end_of(client: Client, release: str) -> tuple[dict[str, Any], str]:
    """What the gateway tells of the release once it has ended, and the stage it was in before."""
    stage, ends_at = "", time.monotonic() + DEADLINE_S
    while True:
        async with client.session.get(f"{client.url}/v1/rollout") as response:
            told: dict[str, Any] = await response.json()
        if response.status == 200 and told["rollout_id"] == release:
            if told["stage"] in ENDED or time.monotonic() > ends_at:
                return told, stage
            stage = f"{told['stage']} {told['share']:.0%}" if told["share"] else told["stage"]
        elif time.monotonic() > ends_at:
            return {"stage": "unknown", "reason": str(told.get("detail", ""))}, stage
        await asyncio.sleep(POLL_S)


def show_outcomes(console: Console, outcomes: Mapping[str, Outcome]) -> None:
    """One line a release, then what ended it.

    "seen s" is the time from the first answer that was its own to its end; "by it" counts those answers.
    """
    table = Table(title="Past the gate", title_justify="left", box=box.SIMPLE_HEAD)
    for heading in ("model", "ended", "in"):
        table.add_column(heading, no_wrap=True)
    for heading in ("after s", "seen s", "by it", "failed"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, outcome in outcomes.items():
        seen, colour = outcome.noticed, "green" if outcome.well else "red"
        table.add_row(
            name,
            f"[{colour}]{outcome.stage.replace('_', ' ')}",
            outcome.caught_in,
            f"{outcome.seconds:.1f}",
            f"{outcome.exposed:.1f}" if outcome.by_it else "never",
            str(outcome.by_it),
            f"{seen.failed} of {seen.answers}",
        )
    console.print(table)
    for name, outcome in outcomes.items():
        console.print(f"  {name}: {outcome.reason}", soft_wrap=True, highlight=False)
