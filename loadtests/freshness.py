"""python -m loadtests.freshness: how soon an event changes what its user sees.

Each try watches the first recommended item of another user and asks again until retrieval speaks of the new history:
an item is recommended because of the one just watched, or the ranked list has changed beyond the item's removal.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from loadtests.client import Client, connected, known_users

DEADLINE_S = 10.0
"""A try that takes longer has failed."""


async def one_try(client: Client, user: str) -> tuple[float, bool]:
    """(seconds until the answer changed beyond the removal, whether the item was ever shown again)."""
    _, before = await client.recommend(user)
    shown = [item["item_id"] for item in before["items"]]
    started = time.perf_counter()
    status, _ = await client.send(user, shown[0], "watch")
    if status != 202:
        raise RuntimeError(f"An event was not accepted: {status}.")
    again = False
    while time.perf_counter() - started < DEADLINE_S:
        _, after = await client.recommend(user)
        now = [item["item_id"] for item in after["items"]]
        again = again or shown[0] in now
        # The gateway takes the item out by itself; what counts is that the features reached the models.
        if now[: len(shown) - 1] != shown[1:]:
            return time.perf_counter() - started, again
        await asyncio.sleep(0.02)
    return float("inf"), again


async def measure(url: str, data_dir: Path, tries: int) -> tuple[list[float], int]:
    """Seconds of each try, and how many of the watched items were shown again."""
    users = random.Random(7).sample(known_users(data_dir), tries)
    seconds: list[float] = []
    repeats = 0
    async with connected(url, data_dir) as client:
        for user in track(users, "event to changed recommendation", transient=True):
            took, again = await one_try(client, user)
            seconds.append(took)
            repeats += again
    return seconds, repeats


def main() -> None:
    """Prints the figures of the running stack."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--url", default="http://127.0.0.1:8000")
    arguments.add_argument("--data-dir", type=Path, default=Path(os.environ.get("CASCADE_DATA_DIR", ".data")))
    arguments.add_argument("--tries", type=int, default=100)
    chosen = arguments.parse_args()
    seconds, repeats = asyncio.run(measure(chosen.url, chosen.data_dir, chosen.tries))
    p50, p95, worst = np.percentile(seconds, (50, 95, 100), method="nearest") * 1000
    Console().print(
        f"Event to changed recommendation over {chosen.tries} tries: p50 {p50:.0f} ms, p95 {p95:.0f} ms, "
        f"max {worst:.0f} ms; items shown again: {repeats}"
    )


if __name__ == "__main__":
    main()
