"""What every rule returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.reranker.pool import Places


@dataclass(frozen=True, slots=True)
class Outcome:
    """The candidates a rule was given, in two halves: together they are the input, no more and no less."""

    kept: Places
    """In slate order; the first n are the slate if no other rule follows."""
    removed: Mapping[str, Places] = field(default_factory=dict)
    """What lost its place on the slate, by reason."""
