"""What the services counted: their /metrics pages, read again and again, as gains since the last reading.

A counter that starts from nothing because its process did is no loss: its whole value is gain. What was counted before
the first reading is not ours.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from services.runtime.logs import get_logger

ANSWERS = "cascade_arm_answers_total"
SECONDS = "cascade_arm_seconds_bucket"
OVERLAP = ("cascade_shadow_overlap_ratio_sum", "cascade_shadow_overlap_ratio_count")
SHOWN = "cascade_impressions_total"
REACTIONS = "cascade_reactions_total"
STARTED = "process_start_time_seconds"
WANTED = (
    "cascade_arm_answers", "cascade_arm_seconds", "cascade_shadow_overlap_ratio", "cascade_impressions",
    "cascade_reactions", STARTED,
)  # fmt: skip
CLICK = "click"
MOST_BYTES = 16 * 1024 * 1024
TIMEOUT_S = 1.0

log = get_logger("rollout")

Tally = Mapping[str, float]
"""Counts by key: `answers challenger failed`, `seconds shadow ranking 0.05` (cumulative over the bounds of buckets),
`shown champion`, `clicks champion`, `overlap sum`, `overlap count`."""


@dataclass(frozen=True, slots=True)
class Page:
    """One reading of one process."""

    started: float
    """When the process began, seconds since 1970; 0 when it does not say."""
    counts: Tally


class Meter:
    """Reads pages; answers what was gained since the reading before."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = tuple(urls)
        self._pages: dict[str, Page] = {}
        # What the environment says of proxies is about the outside world; the services are neighbours.
        self._open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open

    def forget(self) -> None:
        """The next reading is a first one."""
        self._pages.clear()

    def gained(self) -> tuple[dict[str, float], str]:
        """Gains of all pages together, and which pages could not be read, a sentence, else empty. Blocks."""
        gains: dict[str, float] = {}
        unread: list[str] = []
        for url in self._urls:
            try:
                page = parsed(self._fetched(url))
            except (OSError, ValueError) as error:
                unread.append(f"{url} cannot be read ({error}).")
                continue
            before = self._pages.get(url)
            self._pages[url] = page
            if before is not None:
                add(gains, _difference(before, page))
        return gains, " ".join(unread)

    def _fetched(self, url: str) -> str:
        with self._open(url, timeout=TIMEOUT_S) as answer:
            return str(answer.read(MOST_BYTES), "utf-8")


def add(tally: dict[str, float], gains: Tally) -> None:
    """Adds gains to a tally."""
    for key, gain in gains.items():
        tally[key] = tally.get(key, 0.0) + gain


def parsed(text: str) -> Page:
    """The counts of a page in Prometheus' text format. ValueError when it is none."""
    lines = [line for line in text.splitlines() if line.startswith(WANTED)]
    started, counts = 0.0, dict[str, float]()
    # Without their types the parser takes every sample by its own name.
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            if sample.name == STARTED:
                started = float(sample.value)
            elif key := _key(sample):
                counts[key] = counts.get(key, 0.0) + float(sample.value)
    return Page(started, counts)


def _key(sample: Sample) -> str:
    """Under which the sample counts; empty when it does not."""
    labels = sample.labels
    if sample.name == ANSWERS:
        return f"answers {labels.get('arm')} {labels.get('outcome')}"
    if sample.name == SECONDS:
        return f"seconds {labels.get('arm')} {labels.get('stage')} {labels.get('le')}"
    if sample.name in OVERLAP:
        return f"overlap {sample.name.rsplit('_', 1)[1]}"
    if sample.name == SHOWN:
        return f"shown {labels.get('arm')}"
    if sample.name == REACTIONS and labels.get("type") == CLICK:
        return f"clicks {labels.get('arm')}"
    return ""


def _difference(before: Page, page: Page) -> dict[str, float]:
    restarted = page.started != before.started or any(
        page.counts.get(key, 0.0) < count for key, count in before.counts.items()
    )
    old: Tally = {} if restarted else before.counts
    return {key: count - old.get(key, 0.0) for key, count in page.counts.items()}
