"""How caps are applied: all of them in one walk down the list, and relaxed rather than a slate left short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from services.reranker.pool import Places


class Cap(Protocol):
    """A limit on how many items of a slate may have something in common."""

    @property
    def name(self) -> str:
        """As reports spell it."""

    def against(self, taken: Sequence[int], place: int) -> str:
        """Why a candidate may not join those taken; empty when it may."""


@dataclass(frozen=True, slots=True)
class Capped:
    """The list after the caps. `kept` and everything removed together are the input."""

    kept: Places
    """The slate, then what no cap needed to look at."""
    removed: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    """Places by cap and reason."""
    relaxed: dict[str, list[int]] = field(default_factory=dict)
    """Places that a cap refused and had to let back, because without them the slate would be short."""


@dataclass(frozen=True, slots=True)
class _Refusal:
    place: int
    cap: str
    reason: str


def fits(caps: Sequence[Cap], taken: Sequence[int], place: int) -> bool:
    """Whether no cap speaks against a candidate."""
    return not any(cap.against(taken, place) for cap in caps)


def capped(order: Places, n: int, caps: Sequence[Cap]) -> Capped:
    """The first n of `order` that all caps allow, then what was not looked at.

    Where fewer than n are allowed, the caps give way one after the other, the first one first: what only they refused
    comes back in order, behind the rest.
    """
    taken: list[int] = []
    refused: list[_Refusal] = []
    looked_at = 0
    for place in order.tolist():
        if len(taken) == n:
            break
        looked_at += 1
        refusal = _refusal(caps, taken, place)
        if refusal is None:
            taken.append(place)
        else:
            refused.append(refusal)
    relaxed: dict[str, list[int]] = {}
    for given_up in range(1, len(caps) + 1):
        refused = _let_back(refused, taken, n, caps[:given_up], caps[given_up:], relaxed)
    kept = np.concatenate([np.array(taken, np.int64), order[looked_at:]])
    return Capped(kept, _grouped(refused), relaxed)


def _refusal(caps: Sequence[Cap], taken: Sequence[int], place: int) -> _Refusal | None:
    for cap in caps:
        if reason := cap.against(taken, place):
            return _Refusal(place, cap.name, reason)
    return None


def _let_back(
    refused: list[_Refusal],
    taken: list[int],
    n: int,
    lenient: Sequence[Cap],
    strict: Sequence[Cap],
    relaxed: dict[str, list[int]],
) -> list[_Refusal]:
    still: list[_Refusal] = []
    for refusal in refused:
        if len(taken) == n or not fits(strict, taken, refusal.place):
            still.append(refusal)
            continue
        for cap in lenient:
            if cap.against(taken, refusal.place):
                relaxed.setdefault(cap.name, []).append(refusal.place)
        taken.append(refusal.place)
    return still


def _grouped(refused: Sequence[_Refusal]) -> dict[str, dict[str, list[int]]]:
    groups: dict[str, dict[str, list[int]]] = {}
    for refusal in refused:
        groups.setdefault(refusal.cap, {}).setdefault(refusal.reason, []).append(refusal.place)
    return groups
