"""What an evaluation is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Protocol = Literal["p1", "p2", "both"]


@dataclass(frozen=True, slots=True)
class Options:
    """How much to evaluate, and where it is kept."""

    seeds: int = 3
    """Fits of everything that draws, from the plan's seed on; a quick look is content with one."""
    quick: bool = False
    """Few peers, small fits and a sample of the users: says whether things work, not how well."""
    protocol: Protocol = "both"
    out: Path | None = None
    """Folder of results and report; in data_dir evaluation, with -quick and -untimed behind it."""
    report_only: bool = False
    """Fit nothing: make the report from what is there."""
    timed: bool = True
    """Whether ours is told when a user is asked for, as every request is, and as no published result is."""

    def folder(self, data_dir: Path) -> Path:
        """Where results and report go."""
        size, telling = "-quick" if self.quick else "", "" if self.timed else "-untimed"
        return self.out or data_dir / f"evaluation{size}{telling}"

    def seeds_from(self, first: int) -> list[int]:
        """The seeds to fit with."""
        return list(range(first, first + (1 if self.quick else self.seeds)))

    def takes(self, protocol: Literal["p1", "p2"]) -> bool:
        """Whether this protocol is wanted."""
        return self.protocol in (protocol, "both")
