"""python -m loadtests.freshness: how soon an event changes what its user sees.

Each try watches the first item recommended to another user and asks again until an answer was made from a history that
holds it: the trace of the answer tells. The gateway takes the item out of the very next answer by itself; that is not
counted as a change.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from loadtests.client import Client, connected, known_users

DEADLINE_S = 10.0
"""A try that takes longer has failed."""


@dataclass(frozen=True, slots=True)
class Try:
    """What came of one event."""

    seconds: float
    """From the post to the answer whose models knew of it; infinite when none came."""
    shown_again: bool
    reordered: bool
    """Whether that answer's ranked items differ beyond the item's removal."""


async def one_try(client: Client, user: str) -> Try:
    """One event of one user."""
    _, before = await client.recommend(user)
    item, again = before["items"][0]["item_id"], False
    started = time.perf_counter()
    status, _ = await client.send(user, item, "watch")
    if status != 202:
        raise RuntimeError(f"An event was not accepted: {status}.")
    while time.perf_counter() - started < DEADLINE_S:
        _, after = await client.recommend(user)
        seconds = time.perf_counter() - started
        again = again or item in [shown["item_id"] for shown in after["items"]]
        trace = await client.trace(after["recommendation_id"])
        if item in trace["user"]["history"]:
            rest = [kept for kept in _ranked(before) if kept != item]
            return Try(seconds, again, _ranked(after)[: len(rest)] != rest)
        await asyncio.sleep(0.02)
    return Try(float("inf"), again, False)


def _ranked(answer: dict[str, Any]) -> list[str]:
    """Ids without those shown to explore, which change with every answer."""
    return [item["item_id"] for item in answer["items"] if item["slot"] == "ranked"]


async def measure(url: str, data_dir: Path, tries: int) -> list[Try]:
    """One try for each of `tries` users."""
    users = random.Random(7).sample(known_users(data_dir), tries)
    async with connected(url, data_dir) as client:
        return [await one_try(client, user) for user in track(users, "event to changed recommendation", transient=True)]


def main() -> None:
    """Prints the figures of the running stack."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--url", default="http://127.0.0.1:8000")
    arguments.add_argument("--data-dir", type=Path, default=Path(os.environ.get("CASCADE_DATA_DIR", ".data")))
    arguments.add_argument("--tries", type=int, default=100)
    chosen = arguments.parse_args()
    found = asyncio.run(measure(chosen.url, chosen.data_dir, chosen.tries))
    p50, p95, worst = np.percentile([one.seconds for one in found], (50, 95, 100), method="nearest") * 1000
    Console().print(
        f"Event to an answer made from it, {chosen.tries} tries: "
        f"p50 {p50:.0f} ms, p95 {p95:.0f} ms, max {worst:.0f} ms\n"
        f"Ranked items changed beyond the removal in {sum(one.reordered for one in found)} of them; "
        f"items shown again: {sum(one.shown_again for one in found)}",
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
