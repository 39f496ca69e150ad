"""make demo: from an empty folder to recommendations on the screen. Run again, it starts from what is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.gateway.keys import read_or_create_keys
from services.ingest.bootstrap import fill_online_store
from services.llm.settings import KEY_FILE
from services.local.layout import layout
from services.local.settings import LocalSettings
from services.local.stack import LocalStack
from services.runtime.errors import CascadeError
from services.runtime.settings import read_settings
from services.trainer.progress import TRAINED, Steps

SAMPLE_USER = "42"
"""Shown where there is one; of other data it is whoever did most."""
SHOWN = 10


def main() -> None:
    """Exits with 0 after Ctrl-C, with another status and one sentence when a step fails."""
    steps = Steps()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(read_settings(LocalSettings), steps)
    except CascadeError as error:
        print(f"demo: {error.sentence}", file=sys.stderr)
        sys.exit(2)
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)
    except KeyboardInterrupt:
        steps.console.print("Stopped.")


def run(settings: LocalSettings, steps: Steps) -> None:
    """Trains when nothing is trained, fills the online store when it is empty, starts everything, shows it, waits."""
    layout(settings)  # says at once when a port is taken, not after ten minutes of training
    if not (settings.data_dir / TRAINED).is_file():
        subprocess.run([sys.executable, "-m", "services.trainer", "train"], check=True, env=_environment(settings))
    with steps.step("online store: profiles and activity in Redis") as advance:
        fill_online_store(settings.data_dir, settings.redis_url, advance)
    log = settings.data_dir / "stack.log"
    with log.open("wb") as output:
        stack = LocalStack(settings.data_dir, output=output)
        try:
            with steps.step("services: started"):
                stack.start()
                stack.wait_ready(settings.start_seconds)
            present(steps.console, settings.data_dir, stack.urls, log)
            signal.pause()
        finally:
            with steps.step("services: stopped"):
                stack.stop()


def _environment(settings: LocalSettings) -> dict[str, str]:
    return {**os.environ, "CASCADE_DATA_DIR": str(settings.data_dir)}


def present(console: Console, data_dir: Path, urls: dict[str, str], log: Path) -> None:
    """The URLs, ten recommendations beside what the user saw last, and a line to paste."""
    key, user = read_or_create_keys(data_dir).read, sample_user(data_dir / "lake")
    address = f"{urls['gateway']}/v1/users/{quote(user, safe='')}/recommendations?n={SHOWN}"
    answer = httpx.get(address, headers={"X-API-Key": key}, timeout=10.0).raise_for_status().json()
    console.print(f"\n[b]Cascade is ready[/]  {urls['gateway']}   docs: {urls['gateway']}/docs")
    console.print(f"[dim]logs of every service: {log}\n", soft_wrap=True)
    console.print(_slate(user, answer["items"], last_seen(data_dir / "lake", user)))
    stages = ", ".join(f"{stage} {ms:.1f}" for stage, ms in answer["timings_ms"].items())
    console.print(f"served by [b]{answer['served_by']}[/], milliseconds: {stages}\n")
    console.print("Ask yourself:")
    console.print(f"curl -s -H 'X-API-Key: {key}' '{address}'", soft_wrap=True, highlight=False)
    if "llm" in urls:
        where = data_dir / KEY_FILE
        console.print(
            f"Language models, in OpenAI's words: {urls['llm']}/v1, key in {where}", soft_wrap=True, highlight=False
        )
    console.print("\nCtrl-C stops everything.")


def _slate(user: str, items: Sequence[dict[str, Any]], seen: Sequence[tuple[str, str]]) -> Table:
    table = Table(title=escape(f"What user {user} could see next"), title_justify="left")
    for heading in ("", "recommended", "why", "saw last", "rated"):
        table.add_column(heading, justify="right" if heading in ("", "rated") else "left")
    for place in range(max(len(items), len(seen))):
        item = items[place] if place < len(items) else None
        name = (item["title"] or item["item_id"]) if item else ""
        shown = (str(item["rank"]), name, "; ".join(item["reasons"])) if item else ("", "", "")
        table.add_row(*map(escape, (*shown, *(seen[place] if place < len(seen) else ("", "")))))
    return table


def sample_user(lake: Path) -> str:
    """SAMPLE_USER if the lake knows one of that name, else the user with most events."""
    users = pl.scan_parquet(lake / "users.parquet").select("user_id", "external_id")
    if users.filter(pl.col("external_id") == SAMPLE_USER).collect().height:
        return SAMPLE_USER
    counts = pl.scan_parquet(lake / "events" / "**" / "*.parquet").group_by("user_id").len()
    found = users.join(counts, on="user_id").sort(["len", "user_id"], descending=[True, False]).head(1).collect()
    return str(found["external_id"][0])


def last_seen(lake: Path, user: str) -> list[tuple[str, str]]:
    """Title (or id) and rating of a user's newest events, newest first."""
    users = pl.scan_parquet(lake / "users.parquet").filter(pl.col("external_id") == user).select("user_id")
    named = pl.when(pl.col("title") != "").then("title").otherwise("external_id")
    titles = pl.scan_parquet(lake / "items.parquet").select("item_id", title=named)
    events = pl.scan_parquet(lake / "events" / "**" / "*.parquet").select("user_id", "item_id", "ts", "value")
    newest = events.join(users, on="user_id", how="semi").sort("ts", descending=True).head(SHOWN)
    rows = newest.join(titles, on="item_id", how="left", maintain_order="left").collect()
    return [
        (title or "?", "" if value is None else f"{value:g}")
        for title, value in rows.select("title", "value").iter_rows()
    ]


if __name__ == "__main__":
    main()
