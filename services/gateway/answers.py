"""From arrays to the JSON a person reads: cards with titles and reasons, why-numbers on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.gateway.catalog import Catalog
from services.gateway.journey import Journey
from services.gateway.nouns import Candidates, Scores, Slate
from services.runtime.ids import to_int

TELLING_FEATURES = 8
"""Feature values shown of an item on `explain`."""

REASONS = {
    "popularity": "popular right now",
    "segment_popularity": "popular with people like you",
    "fresh": "new release",
    "two_tower": "matches your taste",
    "co_visitation": "people like you went on to this",
    "ease": "goes with what you watched lately",
    "because_you_watched": "close to something you liked",
    "creators": "by makers you keep coming back to",
}
IMPERSONAL = REASONS | {"two_tower": "similar to what you are looking at", "co_visitation": "people went on to this"}
"""For lists that are not made for one user."""
COLD = REASONS | {"two_tower": "a good place to start", "co_visitation": "people went on to this"}
"""For users of whose taste nothing is known."""


class Answers:
    """Writes answers; titles and external ids come from the catalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def of(
        self,
        journey: Journey,
        found: Candidates,
        scores: Scores | None,
        slate: Slate,
        reasons: Mapping[str, str] = REASONS,
    ) -> dict[str, Any]:
        """The whole answer of a request; `reasons` by source."""
        ask = journey.ask
        versions = dict(found.versions)
        if scores is not None and scores.version:
            versions["ranker"] = scores.version
        answer: dict[str, Any] = {
            "recommendation_id": journey.recommendation_id,
            "surface": ask.surface,
            "served_by": journey.served_by,
            "degraded": [asdict(entry) for entry in journey.degraded],
            "model_versions": versions,
            **({"objectives": dict(scores.objectives)} if scores is not None and scores.objectives else {}),
            "experiments": [{"key": key, "variant": variant} for key, variant in journey.experiments.items()],
            "items": self.cards(journey, found, scores, slate, reasons),
        }
        if unknown := self._unknown(ask.context_item, ask.listed):
            answer["unknown_items"] = unknown
        answer["timings_ms"] = {name: round(value, 2) for name, value in journey.timings.items()}
        answer["timings_ms"]["total"] = round(journey.total_ms(), 2)
        return answer

    def cards(
        self, journey: Journey, found: Candidates, scores: Scores | None, slate: Slate, reasons: Mapping[str, str]
    ) -> list[dict[str, Any]]:
        """One card per shown item."""
        rows: list[int] = slate.rows.tolist()
        ids, because = found.ids[slate.rows], found.because[slate.rows]
        names = self._catalog.names_of(np.concatenate([ids, because]))
        kinds = self._catalog.kinds_of(ids)
        given = {to_int(external): external for external in journey.ask.listed or ()}
        context = to_int(journey.ask.context_item) if journey.ask.context_item else 0
        cards: list[dict[str, Any]] = []
        for place, row in enumerate(rows):
            number, name, cause = int(ids[place]), names[place], names[len(rows) + place]
            sources = found.sources_of(row)
            card: dict[str, Any] = {
                "item_id": name[0] if name else given.get(number, str(number)),
                "title": name[1] if name else None,
                "year": kinds[place][0],
                "genres": kinds[place][1],
                "rank": place + 1,
                "score": _number(scores.values[row]) if scores is not None and name else None,
                "sources": sources,
                "propensity": _number(slate.propensities[place]),
                "slot": slate.slots[place],
                "reasons": _reasons(cause, int(because[place]) == context, sources, reasons),
            }
            if journey.ask.explain:
                card["explain"] = explanation(found, scores, row)
            cards.append(card)
        return cards

    def _unknown(self, context_item: str, listed: Sequence[str] | None) -> list[str]:
        externals = [*([context_item] if context_item else []), *(listed or ())]
        if not externals:
            return []
        known = self._catalog.known(np.array([to_int(external) for external in externals], np.uint64))
        return [external for external, is_known in zip(externals, known, strict=True) if not is_known]


def explanation(found: Candidates, scores: Scores | None, row: int) -> dict[str, Any]:
    """The sources' scores, and the features in which this item stands out most from the other candidates."""
    telling = scores is not None and row in scores.places
    return {
        "source_scores": named(found.columns, found.scores[row]),
        "features": _telling(scores, row) if scores is not None and telling else {},
    }


def named(columns: Sequence[str], values: NDArray[np.float32]) -> dict[str, float]:
    """Numbers by name, without the unknown."""
    pairs = ((name, _number(value)) for name, value in zip(columns, values, strict=True))
    return {name: value for name, value in pairs if value is not None}


def _telling(scores: Scores, row: int) -> Mapping[str, float]:
    features, own = scores.features, scores.features_of(np.array([row]))[0]
    counts = np.maximum(np.isfinite(features).sum(axis=0), 1)
    known = np.where(np.isfinite(features), features, 0.0)
    mean = known.sum(axis=0) / counts
    spread = np.sqrt((np.where(np.isfinite(features), features - mean, 0.0) ** 2).sum(axis=0) / counts)
    distance = np.nan_to_num(np.abs(own - mean) / np.where(spread > 0, spread, np.inf), posinf=0.0)
    chosen: list[int] = np.argsort(-distance, kind="stable")[:TELLING_FEATURES].tolist()
    return named([scores.columns[column] for column in chosen], own[chosen])


def _number(value: np.float32) -> float | None:
    number = float(value)
    return round(number, 6) if np.isfinite(value) else None


def _reasons(
    cause: tuple[str, str] | None, is_context: bool, sources: Sequence[str], reasons: Mapping[str, str]
) -> list[str]:
    if cause is not None:
        name = cause[1] or cause[0]
        return [f"because you are looking at {name}" if is_context else f"because you watched {name}"]
    return [reasons[source] for source in sources if source in reasons][:1]
