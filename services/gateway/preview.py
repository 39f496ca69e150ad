"""What other objectives would show: the lists before and after, side by side; nothing is changed or logged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.gateway.arms import CHAMPION
from services.gateway.catalog import Catalog
from services.gateway.clients import Peers
from services.gateway.filters import Filters
from services.gateway.journey import Journey
from services.gateway.nouns import Ask, Candidates, Scores
from services.gateway.stages import Reranking, Retrieval, UserFeatures
from services.runtime.errors import Conflict, DeadlineExceeded
from services.runtime.ids import to_int
from services.runtime.objectives import no_heads

SECONDS = 15.0
"""For all users of a preview together."""

Stages = tuple[UserFeatures, Retrieval, Filters, Reranking]
Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Compared:
    """One user's candidates under both objectives."""

    found: Candidates
    before: Scores
    after: Scores
    shown_before: Rows
    """(M,) candidates of the slate."""
    shown_after: Rows


class Preview:
    """Asks as a request would, but fails where a request would degrade: a fallback is nothing to compare."""

    def __init__(self, stages: Stages, peers: Peers, catalog: Catalog, patience: float) -> None:
        self._features, self._retrieval, self._filters, self._reranking = stages
        self._peers, self._catalog, self._patience = peers, catalog, patience

    async def compare(self, users: Sequence[str], weights: Mapping[str, float], n: int) -> dict[str, Any]:
        """Both lists of every user, what moved, and the mean of every head over what both show.

        Conflict when the champion has no heads, InvalidArgument for weights it cannot use, Unavailable or
        DeadlineExceeded when a peer is away or all of it takes too long.
        """
        try:
            async with asyncio.timeout(SECONDS):
                compared = [await self._compared(to_int(user), weights, n) for user in users]
        except TimeoutError as error:
            raise DeadlineExceeded(f"The preview took longer than {SECONDS:g} s; ask for fewer users.") from error
        first = compared[0]
        return {
            "model_version": first.before.version,
            "weights": {"before": dict(first.before.objectives), "after": dict(first.after.objectives)},
            "mean": _means(compared),
            "users": [self._told(user, one) for user, one in zip(users, compared, strict=True)],
        }

    async def _compared(self, user_id: int, weights: Mapping[str, float], n: int) -> Compared:
        patience, journey = self._patience, Journey.start(Ask(n, round(SECONDS * 1000), user_id, "preview"))
        user = await self._features.attempt(journey, user_id, patience)
        found = self._filters(journey.ask, user, await self._retrieval.attempt(journey, user, patience))
        before = await self._peers.scores(user, found, CHAMPION, 0, patience, heads=True)
        if not before.objectives:
            raise no_heads(before.version, before.kind)
        # By its number: a champion that changes in between would be compared with itself.
        after = await self._peers.scores(user, found, before.version, 0, patience, weights, heads=True)
        slates = [await self._reranking.attempt(journey, (found, scores), patience) for scores in (before, after)]
        return Compared(found, before, after, slates[0].rows, slates[1].rows)

    def _told(self, user: str, one: Compared) -> dict[str, Any]:
        was = {row: place for place, row in enumerate(one.shown_before.tolist(), 1)}
        after = self._cards(one, one.after, one.shown_after)
        for row, card in zip(one.shown_after.tolist(), after, strict=True):
            card["was"] = was.get(row)
        before = self._cards(one, one.before, one.shown_before)
        stayed = set(one.shown_after.tolist())
        return {
            "user_id": user,
            "mean": _means([one]),
            "before": before,
            "after": after,
            "left": [card["item_id"] for row, card in zip(was, before, strict=True) if row not in stayed],
        }

    def _cards(self, one: Compared, scores: Scores, rows: Rows) -> list[dict[str, Any]]:
        ids = one.found.ids[rows]
        names = self._catalog.names_of(ids)
        return [
            {
                "item_id": name[0] if name else str(number),
                "title": name[1] if name else None,
                "rank": place,
                "score": round(float(scores.values[row]), 6),
                "heads": _rounded(scores.objectives, scores.heads[row]),
            }
            for place, (row, number, name) in enumerate(zip(rows.tolist(), ids.tolist(), names, strict=True), 1)
        ]


def _means(compared: Sequence[Compared]) -> dict[str, dict[str, float]]:
    """Mean by head over everything that is shown, before and after."""
    if all(one.shown_before.size == 0 for one in compared):
        raise Conflict("Nothing can be shown to these users: they have seen every candidate.", field="user_id")
    before = np.concatenate([one.before.heads[one.shown_before] for one in compared])
    after = np.concatenate([one.after.heads[one.shown_after] for one in compared])
    heads = compared[0].before.objectives
    return {"before": _rounded(heads, before.mean(axis=0)), "after": _rounded(heads, after.mean(axis=0))}


def _rounded(heads: Mapping[str, float], chances: NDArray[np.float32]) -> dict[str, float]:
    return {head: round(chance, 6) for head, chance in zip(heads, chances.tolist(), strict=True)}
