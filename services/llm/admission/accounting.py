"""What was used since the start, by key and model: for metrics, and for whoever pays."""

from __future__ import annotations

from dataclasses import dataclass

from services.llm.admission.prices import dollars
from services.llm.calls import Usage

OTHER = "other"
"""Where pairs are counted that come after the bound."""


@dataclass(slots=True)
class Totals:
    """Sums over the answers one model gave to one key."""

    key: str
    model: str
    requests: int = 0
    cache_hits: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost: int = 0
    """Picodollars."""

    @property
    def usd(self) -> float:
        """The cost in dollars."""
        return dollars(self.cost)


class Accounts:
    """Running totals of at most `pairs` pairs of key and model; what comes after them is counted as "other"."""

    def __init__(self, pairs: int = 4096) -> None:
        self._pairs = pairs
        self._totals: dict[tuple[str, str], Totals] = {}

    def add(self, key: str, model: str, usage: Usage, cost: int, *, cache_hit: bool = False) -> None:
        """One answer, and the model that gave it. Tokens of a cache hit were counted when computed."""
        totals = self._of(key, model)
        totals.requests += 1
        totals.cost += cost
        if cache_hit:
            totals.cache_hits += 1
            return
        totals.prompt_tokens += usage.prompt_tokens
        totals.cached_tokens += usage.cached_tokens
        totals.completion_tokens += usage.completion_tokens

    def rows(self, key: str | None = None) -> list[Totals]:
        """All totals, or those of one key; the dearest first."""
        chosen = (totals for totals in self._totals.values() if key is None or totals.key == key)
        return sorted(chosen, key=lambda totals: (-totals.cost, totals.key, totals.model))

    def _of(self, key: str, model: str) -> Totals:
        totals = self._totals.get((key, model))
        if totals is None:
            if len(self._totals) >= self._pairs:
                key = model = OTHER
            totals = self._totals.setdefault((key, model), Totals(key, model))
        return totals
