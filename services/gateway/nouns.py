"""What passes between the stages of one request. Arrays of one record run in parallel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Arrange = Callable[[NDArray[np.uint64]], NDArray[np.intp]]
"""(N,) ids in the ranker's order -> (N,) places of them in the order to show"""


@dataclass(frozen=True, slots=True)
class Ask:
    """What someone wants to see."""

    n: int
    deadline_ms: int
    user_id: int = 0
    """0 for a visitor without an id."""
    surface: str = "home"
    session_id: str = ""
    context_item: str = ""
    """The item being looked at, as the outside world spells it; empty for none."""
    listed: tuple[str, ...] | None = None
    """Rank only these, as the outside world spells them."""
    categories: tuple[str, ...] = ()
    exclude: frozenset[int] = frozenset()
    explain: bool = False
    seen_too: bool = False
    """True for a caller that brings its own list and wants seen items ranked as well."""
    at_ms: int = 0
    """The moment to answer for, milliseconds since 1970; 0 for now."""
    spent: tuple[tuple[str, float], ...] = ()
    """Steps before this question could be asked, and their milliseconds: told with the stages, outside the budget."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Items taken out, with the one reason they share."""

    reason: str
    ids: NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What one source of candidates did."""

    source: str
    proposed: int
    kept: int
    milliseconds: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class Candidates:
    """N candidates, best first, and who proposed them."""

    ids: NDArray[np.uint64]
    """(N,)"""
    scores: NDArray[np.float32]
    """(N, S) raw score by source, NaN where unknown; (N, 0) when no source scored."""
    columns: tuple[str, ...]
    """S names."""
    proposed_by: NDArray[np.uint32]
    """(N,) bit masks; bit i stands for reports[i]."""
    because: NDArray[np.uint64]
    """(N,) the history item that spoke most for each, 0 for none."""
    reports: tuple[SourceReport, ...] = ()
    removed: tuple[Removed, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_ids(cls, ids: NDArray[np.uint64], source: str = "") -> Candidates:
        """Candidates of which nothing but the ids, and perhaps one source, is known."""
        count = int(ids.size)
        return cls(
            ids=ids,
            scores=np.empty((count, 0), np.float32),
            columns=(),
            proposed_by=np.full(count, 1 if source else 0, np.uint32),
            because=np.zeros(count, np.uint64),
            reports=(SourceReport(source, count, count, 0.0),) if source else (),
        )

    def take(self, rows: NDArray[np.intp], removed: tuple[Removed, ...] = ()) -> Candidates:
        """These rows only; `removed` is added to what was removed before."""
        return replace(
            self,
            ids=self.ids[rows],
            scores=self.scores[rows],
            proposed_by=self.proposed_by[rows],
            because=self.because[rows],
            removed=(*self.removed, *removed),
        )

    def sources_of(self, row: int) -> list[str]:
        """Names of the sources that proposed a candidate."""
        mask = int(self.proposed_by[row])
        return [report.source for bit, report in enumerate(self.reports) if mask >> bit & 1]


@dataclass(frozen=True, slots=True)
class Searched:
    """What retrieval found for a search."""

    ids: NDArray[np.uint64]
    """(K,) best first."""
    by_words: bool
    """False when words were not searched for: there were none, or the text index is not there yet."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What the ranker says of N candidates."""

    values: NDArray[np.float32]
    """(N,) higher is better, NaN where the model could not score."""
    version: str = ""
    """Empty when no model scored."""
    kind: str = ""
    features: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    """(K, C) the rows that the scores of the K best candidates came from; (0, 0) when no model scored."""
    columns: tuple[str, ...] = ()
    """C names."""
    places: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    """(K,) candidate of each row of `features`, best first."""
    objectives: Mapping[str, float] = field(default_factory=dict)
    """What each head of the model weighed; empty when it has one score."""
    heads: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    """(N, H) probabilities by head in the order of `objectives`, where they were asked for."""

    def features_of(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """(R, C) feature rows of R candidates; NaN for one whose row the ranker did not send."""
        found = np.full((self.values.size, len(self.columns)), np.nan, np.float32)
        found[self.places] = self.features
        return found[rows]

    def best(self, count: int) -> NDArray[np.intp]:
        """(min(count, N),) candidates by falling score; NaN comes last."""
        return np.argsort(-self.values, kind="stable")[:count]


@dataclass(frozen=True, slots=True)
class RuleReport:
    """What one rule of the re-ranker did."""

    rule: str
    kept: int
    removed: tuple[Removed, ...]
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Slate:
    """The M items to show, in order."""

    rows: NDArray[np.intp]
    """(M,) row of each in the candidates."""
    slots: tuple[str, ...]
    propensities: NDArray[np.float32]
    """(M,) probability that the item came to its place."""
    rules: tuple[RuleReport, ...] = ()

    @classmethod
    def in_order(cls, rows: NDArray[np.intp]) -> Slate:
        """A slate no rule has touched."""
        return cls(rows, ("ranked",) * rows.size, np.ones(rows.size, np.float32))


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One version of a model, as the service that loads it tells."""

    name: str
    version: str
    kind: str
    aliases: tuple[str, ...]
    loaded: bool
    metrics: Mapping[str, float]
    lineage: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Objectives:
    """The heads of the ranker that serves, and what each weighs in the score."""

    model_version: str
    model_kind: str
    heads: tuple[str, ...]
    weights: Mapping[str, float]
    defaults: Mapping[str, float]
