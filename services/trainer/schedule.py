"""Which run is due: a full one by age, a continuous one by time or by what came in, none while a release is tried."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.runtime.registry import CHAMPION, Registry
from services.trainer.rollout.release import can_start
from services.trainer.runs.arrivals import Arrivals
from services.trainer.runs.folder import Runs, learned_until
from services.trainer.runs.record import Kind, Run
from services.trainer.settings import TrainerSettings


@dataclass(frozen=True, slots=True)
class Due:
    """What the schedule says at a moment."""

    kind: Kind | None
    """The run to start now; None for none."""
    trigger: str
    """schedule or examples."""
    next_at: datetime
    """When the schedule looks for something to learn again, or starts a full run."""
    new_examples: int
    """Shown items that no run has learned from."""


class Schedule:
    """Everything it needs is in the registry, the lake and the runs: a restart neither forgets nor repeats."""

    def __init__(
        self,
        registry: Registry,
        settings: TrainerSettings,
        runs: Runs,
        arrivals: Arrivals,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._registry, self._settings, self._runs, self._arrivals, self._now = registry, settings, runs, arrivals, now

    def due(self, tried_at: datetime, not_before: datetime) -> Due:
        """What to do. `tried_at` is when a continuous run was last started, `not_before` when any may start again.

        NotFound without a champion, Unavailable when the registry does not answer. Blocks.
        """
        settings, now = self._settings, self._now()
        lineage = self._registry.resolve("ranker", CHAMPION).manifest.lineage
        full_at = datetime.fromisoformat(lineage.get("full_at") or lineage["created_at"])
        runs = self._runs.recent()
        shown_us = max(learned_until(runs, "ranker"), microseconds(full_at))
        new = self._arrivals.since("impressions", shown_us)
        full_due = full_at + timedelta(hours=settings.every_hours)
        learn_due = tried_at + timedelta(minutes=settings.learn_minutes)
        next_at = max(min(full_due, learn_due), not_before)

        def said(kind: Kind | None, trigger: str = "schedule") -> Due:
            return Due(kind, trigger, next_at, new)

        if now < not_before:
            return said(None)
        if any(run.state == "running" and run.kind == "continuous" for run in runs):
            return said("continuous")  # its process was killed
        if full_due <= now:
            return said("full")
        if can_start(self._registry) is not None:
            return said(None)
        if settings.learn_examples and new >= settings.learn_examples:
            return said("continuous", "examples")
        if learn_due <= now and (new or self._acted(runs, full_at)):
            return said("continuous")
        return said(None)

    def _acted(self, runs: Sequence[Run], full_at: datetime) -> bool:
        """Whether anybody did anything since the retrieval models were fitted."""
        known_us = max(learned_until(runs, "retrieval"), microseconds(full_at))
        return self._arrivals.newest("events", known_us) > known_us


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return round(moment.timestamp() * 1_000_000)
