"""Why these items and why not those: the recent requests, kept as they were computed, told when someone asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from models.user import UserState
from services.gateway.answers import named
from services.gateway.catalog import Catalog
from services.gateway.journey import Journey
from services.gateway.nouns import Candidates, Removed, Scores, Slate

_RECORD_BYTES = 4096
"""What a trace weighs besides its arrays."""


@dataclass(frozen=True, slots=True)
class Trace:
    """All that a request saw."""

    journey: Journey
    user: UserState
    found: Candidates
    scores: Scores
    slate: Slate
    answer: dict[str, Any]

    def nbytes(self) -> int:
        """Memory it holds, near enough for a bound."""
        arrays: list[NDArray[Any]] = [
            self.found.ids, self.found.scores, self.found.proposed_by, self.found.because,
            self.scores.values, self.scores.features, self.user.seen, self.user.hidden, self.user.history,
            *(group.ids for group in self.found.removed),
            *(group.ids for rule in self.slate.rules for group in rule.removed),
        ]  # fmt: skip
        return _RECORD_BYTES + 512 * len(self.slate.rows) + sum(array.nbytes for array in arrays)


class Traces:
    """The traces of recent requests, bounded in number and in memory; the least recently used goes first."""

    def __init__(self, catalog: Catalog, limit: int, limit_bytes: int) -> None:
        self._catalog = catalog
        self._limit = limit
        self._kept: LRUCache[str, Trace] = LRUCache(limit_bytes, getsizeof=Trace.nbytes)

    def keep(self, trace: Trace) -> None:
        """Feature rows too, of the candidates that the ranker sent them of: explanations are made of them."""
        if trace.nbytes() <= self._kept.maxsize:
            self._kept[trace.journey.recommendation_id] = trace
        while len(self._kept) > self._limit:
            self._kept.popitem()

    def get(self, recommendation_id: str) -> Trace | None:
        """The trace, or None when it is not kept (any more)."""
        return self._kept.get(recommendation_id)

    def told(self, recommendation_id: str) -> dict[str, Any] | None:
        """The trace as JSON, or None when it is not kept (any more)."""
        trace = self._kept.get(recommendation_id)
        return None if trace is None else self._told(trace)

    def _told(self, trace: Trace) -> dict[str, Any]:
        found, ask = trace.found, trace.journey.ask
        return {
            **{key: value for key, value in trace.answer.items() if key != "items"},
            "received_at": datetime.fromtimestamp(trace.journey.received_us / 1e6, UTC).isoformat(),
            "request": {
                "n": ask.n,
                "deadline_ms": ask.deadline_ms,
                "session_id": ask.session_id,
                "context_item": ask.context_item,
                "categories": list(ask.categories),
            },
            "user": {
                "cold": trace.user.is_cold,
                "profile": dict(trace.user.profile),
                "history": self._names(trace.user.history),
                "seen": int(np.unique(trace.user.seen).size),
                "hidden": int(np.unique(trace.user.hidden).size),
            },
            "sources": [
                {"source": r.source, "proposed": r.proposed, "kept": r.kept,
                 "milliseconds": round(r.milliseconds, 3), "error": r.error}
                for r in found.reports
            ],
            "removed": self._removed(found.removed),
            "rules": [
                {"rule": r.rule, "kept": r.kept, "removed": self._removed(r.removed),
                 "milliseconds": round(r.milliseconds, 3)}
                for r in trace.slate.rules
            ],
            "candidates": self._candidates(trace),
            "titles": self._titles(trace),
            "items": trace.answer["items"],
        }  # fmt: skip

    def _candidates(self, trace: Trace) -> list[dict[str, Any]]:
        found = trace.found
        shown = set(trace.slate.rows.tolist())
        return [
            {
                "item_id": name,
                "score": round(score, 6) if score == score else None,
                "sources": found.sources_of(row),
                "source_scores": named(found.columns, found.scores[row]),
                "shown": row in shown,
            }
            for row, (name, score) in enumerate(zip(self._names(found.ids), trace.scores.values.tolist(), strict=True))
        ]

    def _removed(self, groups: Iterable[Removed]) -> list[dict[str, Any]]:
        return [{"reason": group.reason, "item_ids": self._names(group.ids)} for group in groups]

    def _titles(self, trace: Trace) -> dict[str, str]:
        """Title by item id, of every item that the trace names."""
        groups = (*trace.found.removed, *(group for rule in trace.slate.rules for group in rule.removed))
        ids = np.unique(np.concatenate([trace.found.ids, trace.user.history, *(group.ids for group in groups)]))
        return dict(name for name in self._catalog.names_of(ids) if name is not None)

    def _names(self, ids: NDArray[np.uint64]) -> list[str]:
        pairs = zip(ids.tolist(), self._catalog.names_of(ids), strict=True)
        return [name[0] if name else str(number) for number, name in pairs]
