"""What a rule tells: of which kind, and how often. The text it found stays out of logs and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a rule found."""

    kind: str
    """"pii.EMAIL", "injection.override" and so on: a small fixed set, fit for a metric's label."""
    count: int = 1


def findings(family: str, counts: Mapping[str, int]) -> tuple[Finding, ...]:
    """One finding for each kind of a family that was there."""
    return tuple(Finding(f"{family}.{kind}", count) for kind, count in counts.items() if count)
