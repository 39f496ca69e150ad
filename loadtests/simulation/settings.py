"""What a simulation is told, and where it keeps things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

ARMS = ("frozen", "retrained", "feature", "weights")
"""Through the stack: never trained again; trained after every round, without and with a correction of position bias."""
POSITION = {"retrained": "none", "feature": "feature", "weights": "weights"}
"""The correction that each retrained arm asks of `learn`."""
REFERENCES = ("random", "popularity", "ease", "oracle")
"""Policies without the stack: what the numbers of the arms lie between."""
SHOWN = 10
"""Items of a page."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm with one population and one way to click."""

    seed: int
    clicks: str
    arm: str


@dataclass(frozen=True, slots=True)
class Simulation:
    """A grid of cells."""

    data_dir: Path = Path(".data")
    dataset: str = "ml-1m"
    seeds: int = 5
    users: int = 500
    rounds: int = 6
    clicks: Sequence[str] = ("position", "cascade")
    arms: Sequence[str] = ARMS
    drift: float = 0.0
    """Radians by which taste turns a round."""
    concurrency: int = 6
    """Pages asked for at the same time."""

    @property
    def folder(self) -> Path:
        """Everything that is kept."""
        return self.data_dir / "simulation"

    @property
    def base(self) -> Path:
        """The data folder that every arm starts from a copy of."""
        return self.folder / "base" / self.dataset

    @property
    def world_file(self) -> Path:
        """The fitted people."""
        return self.folder / f"world-{self.dataset}.npz"

    @property
    def results(self) -> Path:
        """Results of simulations that may be compared: same data, users, rounds and drift."""
        drift = f"-drift-{self.drift:g}" if self.drift else ""
        return self.folder / "results" / f"{self.dataset}-{self.users}-users-{self.rounds}-rounds{drift}"

    @property
    def freshness_file(self) -> Path:
        """How soon the loop closed."""
        return self.folder / f"freshness-{self.dataset}.json"

    def cells(self) -> list[Cell]:
        """Arms of one seed side by side, so that a run that is cut short can be compared."""
        return [Cell(*cell) for cell in product(range(self.seeds), self.clicks, self.arms)]

    def references(self) -> list[Cell]:
        """The same grid of policies without the stack."""
        return [Cell(*cell) for cell in product(range(self.seeds), self.clicks, REFERENCES)]

    def logs_of(self, cell: Cell) -> Path:
        """Where the stack and the trainer of a cell write what they say."""
        return self.results / "logs" / f"{cell.clicks}-{cell.arm}-{cell.seed}"

    def file_of(self, cell: Cell) -> Path:
        """Where the results of a cell lie once it is done."""
        return self.results / cell.clicks / cell.arm / f"seed-{cell.seed}.jsonl"
