"""What each rule may do. The defaults are gentle: they hardly move NDCG."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class DiversityConfig:
    """Relevance against sameness."""

    on: bool = True
    """Whether the rule runs."""
    method: Literal["mmr", "dpp"] = "mmr"
    """mmr is the simpler one; dpp looks at the whole slate at once."""
    trade_off: float = 0.95
    """1 is pure relevance, 0 is pure difference."""
    reach: int = 30
    """Candidates, from the top, that it may choose among."""


@dataclass(frozen=True, slots=True)
class CapConfig:
    """A limit on likeness, as a share of the slate."""

    on: bool = True
    """Whether the cap holds."""
    share: float = 0.6
    """Largest part of the slate."""

    def limit(self, n: int) -> int:
        """Largest number of items on a slate of n; never below 2, which is when likeness begins."""
        return max(2, math.floor(self.share * n))


@dataclass(frozen=True, slots=True)
class FreshnessConfig:
    """A place for something new."""

    on: bool = True
    """Whether the rule runs."""
    at_least: int = 1
    """Fresh items wanted on a slate."""
    max_age_days: float = 30.0
    """Older items are not fresh."""
    max_events: float = 20.0
    """Items with more events are not fresh any more."""
    reach: int = 50
    """A fresh item further down is not good enough."""


@dataclass(frozen=True, slots=True)
class ExplorationConfig:
    """A place for what the model does not believe in yet."""

    on: bool = True
    """Whether the rule runs."""
    rate: float = 0.25
    """Share of slates whose last place is given to a draw."""
    reach: int = 50
    """Candidates below the cut that may be drawn."""
    policy: Literal["softmax", "uniform"] = "softmax"
    """How the draw is weighted."""
    temperature: float = 1.0
    """Of the softmax, in standard deviations of the scores."""
    least_slate: int = 5
    """Shorter slates have no place to spare."""


@dataclass(frozen=True, slots=True)
class SlateConfig:
    """Every rule, in the order they run."""

    diversity: DiversityConfig = field(default_factory=DiversityConfig)
    """MMR or DPP."""
    genre_cap: CapConfig = field(default_factory=lambda: CapConfig(share=0.6))
    """Items with the same set of genres."""
    creator_cap: CapConfig = field(default_factory=lambda: CapConfig(share=0.3))
    """Items by the same creator."""
    freshness: FreshnessConfig = field(default_factory=FreshnessConfig)
    """New items."""
    exploration: ExplorationConfig = field(default_factory=ExplorationConfig)
    """The last place."""

    @classmethod
    def off(cls) -> SlateConfig:
        """No rule at all: the plain order of scores."""
        off = CapConfig(on=False)
        return cls(DiversityConfig(on=False), off, off, FreshnessConfig(on=False), ExplorationConfig(on=False))
