"""What a continuous run is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from services.trainer.compute import Resources
from services.trainer.gate import GateConfig
from services.trainer.learning.config import LearnConfig
from services.trainer.retrieval_models import RetrievalFitConfig


@dataclass(frozen=True, slots=True)
class LearnPlan:
    """Where, from what, and how."""

    data_dir: Path
    registry_url: str = ""
    """MLflow server; empty for the SQLite file in the data folder."""
    seed: int = 0
    trigger: str = "request"
    """schedule, examples or request: only told."""
    run_id: str = ""
    """Of a new run; empty makes one up."""
    retrieval: bool = True
    """Whether the retrieval models are refitted too."""
    promote: bool = False
    """Champion at once after the gate, instead of a rollout."""
    ripe: timedelta = timedelta(minutes=2)
    """How old a slate must be before the lack of a reaction means anything."""
    reactions: timedelta = timedelta(minutes=30)
    """How long after a slate a reaction to it counts."""
    period: timedelta = timedelta(days=14)
    """How far back examples reach."""
    held_out: float = 0.2
    """Share of the slates, the newest, that only the gate sees."""
    valid: float = 0.2
    """Share of the slates before those that stop the fit early and calibrate it."""
    least_clicks: int = 30
    """Clicked items below which a ranker learns nothing."""
    ranker: LearnConfig = field(default_factory=LearnConfig)
    """How the ranker is fitted."""
    towers: RetrievalFitConfig = field(default_factory=RetrievalFitConfig)
    """How the retrieval models are fitted."""
    gate: GateConfig = field(default_factory=GateConfig)
    """What a challenger must reach."""
    resources: Resources = field(default_factory=Resources)
    """What torch fits may use."""

    @property
    def lake(self) -> Path:
        """Where the log lies."""
        return self.data_dir / "lake"

    def asked(self) -> dict[str, str | int | float | bool]:
        """The options that make another run of it."""
        return {
            "seed": self.seed,
            "position": self.ranker.position,
            "retrieval": self.retrieval,
            "promote": self.promote,
            "ripe_seconds": self.ripe.total_seconds(),
        }
