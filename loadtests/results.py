"""What a run found, in bounded memory however long it lasts, and mergeable over workers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_GAMMA = 1.02
"""Ratio of neighbouring bucket bounds: quantiles are off by 1 % at most."""
_SMALLEST_MS, _LARGEST_MS = 0.01, 1e6


@dataclass(slots=True)
class Latencies:
    """Milliseconds in logarithmic buckets (DDSketch, Masson et al., VLDB 2019); about 930 buckets at most."""

    buckets: Counter[int] = field(default_factory=Counter)

    def add(self, milliseconds: float) -> None:
        """Counts one."""
        bounded = min(max(milliseconds, _SMALLEST_MS), _LARGEST_MS)
        self.buckets[math.ceil(math.log(bounded, _GAMMA))] += 1

    @property
    def count(self) -> int:
        """How many were added."""
        return self.buckets.total()

    def quantile(self, share: float) -> float:
        """Milliseconds that `share` of the values stay at or below; NaN for no values."""
        wanted, seen = share * self.count, 0
        for bucket, count in sorted(self.buckets.items()):
            seen += count
            if seen >= wanted:
                return float(2 * _GAMMA**bucket / (_GAMMA + 1))
        return math.nan


@dataclass(slots=True)
class Level:
    """Recommendations while a certain number of users were there."""

    began: float
    """Moment of the first answer, seconds of any clock that never goes back."""
    ended: float
    """Of the newest."""
    latencies: Latencies = field(default_factory=Latencies)
    not_fresh: int = 0

    @property
    def per_second(self) -> float:
        """Answers a second; NaN for a single one."""
        return (self.latencies.count - 1) / (self.ended - self.began) if self.ended > self.began else math.nan


@dataclass(slots=True)
class Results:
    """Recommendations that were answered with 200."""

    latencies: Latencies = field(default_factory=Latencies)
    """From the request to the whole answer, as the client sees it."""
    stages: dict[str, Latencies] = field(default_factory=dict)
    """By stage, as the gateway tells in `timings_ms`."""
    served_by: Counter[str] = field(default_factory=Counter)
    degraded: Counter[str] = field(default_factory=Counter)
    """Answers by stage that was replaced in them."""
    levels: dict[int, Level] = field(default_factory=dict)
    """By number of users; empty where one process does not know how many there are."""

    def add(self, milliseconds: float, answer: Mapping[str, Any], users: int | None, moment: float) -> None:
        """Counts one answer that came at `moment` while `users` were there."""
        self.latencies.add(milliseconds)
        for stage, spent in answer["timings_ms"].items():
            self.stages.setdefault(stage, Latencies()).add(spent)
        self.served_by[answer["served_by"]] += 1
        self.degraded.update({entry["stage"] for entry in answer["degraded"]})
        if users is not None:
            level = self.levels.setdefault(users, Level(moment, moment))
            level.ended = moment
            level.latencies.add(milliseconds)
            level.not_fresh += answer["served_by"] != "fresh"

    @property
    def degraded_share(self) -> float:
        """Share of answers that were not fresh; NaN for no answers."""
        total = self.served_by.total()
        return (total - self.served_by["fresh"]) / total if total else math.nan

    def clear(self) -> None:
        """Forgets everything."""
        self.latencies.buckets.clear()
        for counted in (self.stages, self.served_by, self.degraded, self.levels):
            counted.clear()

    def handed_over(self) -> dict[str, Any]:
        """Plain values for a merge elsewhere; what was handed over is forgotten here."""
        told = {
            "latencies": dict(self.latencies.buckets),
            "stages": {stage: dict(spent.buckets) for stage, spent in self.stages.items()},
            "served_by": dict(self.served_by),
            "degraded": dict(self.degraded),
        }
        self.clear()
        return told

    def merge(self, told: Mapping[str, Any]) -> None:
        """Adds what another process handed over."""
        self.latencies.buckets.update(told["latencies"])
        for stage, buckets in told["stages"].items():
            self.stages.setdefault(stage, Latencies()).buckets.update(buckets)
        self.served_by.update(told["served_by"])
        self.degraded.update(told["degraded"])
