"""How the sources share the list. What is learned with the towers travels in their manifest; it starts from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

SOURCES = ("two_tower", "co_visitation", "ease", "because_you_watched", "creators", "popularity", "fresh")
"""In the order of reports and of the bits of proposed_by."""


MANIFEST_KEY = "sources"
"""In the config of a two_tower manifest."""


@dataclass(frozen=True, slots=True)
class SourceShare:
    """What one source may bring, relative to the n candidates wanted."""

    depth: float
    """Candidates it is asked for, as a share of n."""
    quota: float
    """Share of n that its best proposals fill whatever the others say."""
    weight: float
    """Its voice in the merged order."""
    cold_weight: float
    """The same for a user without history."""


@dataclass(frozen=True, slots=True)
class RetrievalConfig:
    """Shares by source, and the shape of the fusion."""

    shares: dict[str, SourceShare] = field(
        default_factory=lambda: {
            "two_tower": SourceShare(depth=1.0, quota=0.25, weight=1.0, cold_weight=0.5),
            "co_visitation": SourceShare(depth=1.0, quota=0.25, weight=1.0, cold_weight=0.0),
            "ease": SourceShare(depth=0.3, quota=0.05, weight=0.2, cold_weight=0.0),
            "because_you_watched": SourceShare(depth=0.1, quota=0.02, weight=0.05, cold_weight=0.0),
            "creators": SourceShare(depth=0.05, quota=0.01, weight=0.01, cold_weight=0.0),
            "popularity": SourceShare(depth=0.5, quota=0.03, weight=0.05, cold_weight=1.0),
            "fresh": SourceShare(depth=0.02, quota=0.02, weight=0.001, cold_weight=0.001),
        }
    )
    """By source name. Quotas add up to 1 at most."""
    rank_offset: float = 20.0
    """k of reciprocal rank fusion: how much the first places weigh against the later ones."""
    fresh_pool: int = 200
    """Newest not-yet-popular items among which the fresh source chooses by genre."""
    fresh_events: float = 20.0
    """An item with more events than this is no longer fresh."""

    @classmethod
    def of_manifest(cls, config: Mapping[str, Any]) -> Self:
        """What was learned with the towers of this manifest's config, the start where nothing was."""
        learned = config.get(MANIFEST_KEY)
        if learned is None:
            return cls()
        return cls(**{**learned, "shares": {name: SourceShare(**of) for name, of in learned["shares"].items()}})

    def __post_init__(self) -> None:
        if sum(share.quota for share in self.shares.values()) > 1:
            raise ValueError("The quotas of the retrieval sources add up to more than 1.")
        if set(self.shares) != set(SOURCES):
            raise ValueError(f"The shares must name each of {', '.join(SOURCES)} and nothing else.")
