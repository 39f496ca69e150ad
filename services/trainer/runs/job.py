"""What the stages of a continuous run share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rich.console import Console

from services.runtime.registry import RegisteredVersion, Registry
from services.trainer.pipeline import RETRIEVAL, code_revision
from services.trainer.runs.folder import Runs
from services.trainer.runs.plan import LearnPlan
from services.trainer.runs.record import Run

Advance = Callable[[int, int], None]

PARTS: Mapping[str, tuple[str, ...]] = {"retrieval": RETRIEVAL, "ranker": ("ranker",)}
"""What a run can fit, and the models of each, which always move together."""


@dataclass(frozen=True, slots=True)
class Job:
    """A run at work."""

    plan: LearnPlan
    registry: Registry
    runs: Runs
    run: Run
    champions: Mapping[str, RegisteredVersion]
    """By model: what served when the run began."""
    console: Console

    @property
    def folder(self) -> Path:
        """Where the stages leave what the next ones need."""
        return self.runs.folder(self.run)

    def draft(self, model: str) -> Path:
        """Where the challenger of a model lies before it is published."""
        return self.folder / ("ranker" if model == "ranker" else f"retrieval/{model}")

    def lineage(self, part: str) -> dict[str, str]:
        """What made the models of this run; equal when the run is resumed."""
        model = PARTS[part][0]
        return {
            "run": self.run.run_id,
            "data_snapshot": self.run.dataset or self.champions[model].manifest.lineage.get("data_snapshot", ""),
            "code_revision": code_revision(),
            "seed": str(self.plan.seed),
            "created_at": self.run.started.isoformat(timespec="microseconds"),
            "full_at": full_at(self.champions[model]).isoformat(timespec="microseconds"),
            "parents": f"{model} {self.champions[model].version}",
        }


def full_at(champion: RegisteredVersion) -> datetime:
    """When the full run was that a model descends from: the last event of each user before it is never learned."""
    lineage = champion.manifest.lineage
    return datetime.fromisoformat(lineage.get("full_at") or lineage["created_at"])


def known_until(champion: RegisteredVersion) -> datetime:
    """A model has seen no event from this moment on."""
    return datetime.fromisoformat(champion.manifest.lineage["created_at"])
