"""What the gate found, for people, for the registry and for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

UNDECIDED = "undecided"
"""How the sentence of a check begins that had too little to go by."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer."""

    name: str
    """In snake case."""
    passed: bool
    sentence: str
    """What was found, for a person."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """By name. A table shows champion, challenger, difference (challenger minus champion), low and high."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks of one challenger."""

    subject: str
    """What was judged: ranker or retrieval."""
    checks: tuple[Check, ...]
    seconds: float = 0.0
    """How long it took."""

    @property
    def passed(self) -> bool:
        """True when every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Sentences of the checks that failed."""
        return tuple(f"{check.name}: {check.sentence}" for check in self.checks if not check.passed)

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON values; figures that are no number are left out."""
        return {
            "subject": self.subject,
            "passed": self.passed,
            "reasons": list(self.reasons),
            "seconds": round(self.seconds, 3),
            "checks": [
                {
                    "name": check.name,
                    "passed": check.passed,
                    "sentence": check.sentence,
                    "figures": finite(check.figures),
                }
                for check in self.checks
            ],
        }

    def metrics(self) -> dict[str, float]:
        """Every figure as gate_<check>_<figure>, for a manifest."""
        return {
            f"gate_{check.name}_{name}": value for check in self.checks for name, value in finite(check.figures).items()
        }


def finite(figures: Mapping[str, float]) -> dict[str, float]:
    """The figures that are numbers."""
    return {name: float(value) for name, value in figures.items() if math.isfinite(value)}
