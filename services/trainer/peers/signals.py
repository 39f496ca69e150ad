"""What the two-stage peer knows of a user and a candidate, from counts and closed forms alone.

I items of the catalog, K candidates of one user, h_0 the newest item of the history.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from models.covisitation import CoVisitationConfig, transition_counts
from models.ease import EaseConfig
from services.trainer.data.interactions import Interactions
from services.trainer.peers.counts import cosines
from services.trainer.peers.facts import ItemFacts
from services.trainer.peers.linear import EasePeer
from services.trainer.peers.task import columns

PER_SOURCE = 100
"""Candidates that each of the two sources proposes."""
FOLLOWING, FADING = CoVisitationConfig(), EaseConfig()
PAIR_SIGNALS = (
    "follow", "follow_rank", "follow_0", "follow_1", "follow_2", "follow_newest_5", "followed_by_0", "next_0",
    "next_newest_3", "ease", "ease_rank", "ease_0", "ease_newest_3", "ease_all", "near_0", "near_0_rank",
    "near_newest_5", "near_all",
)  # fmt: skip
"""Of the pairs of history and candidate; what the items are and how the user behaves comes on top (facts.py).

follow: co-visitation; next: of neighbours in a history only; near: cosines of who turned to them; rank: log2(1 + place)
among the candidates.
"""
Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Found:
    """The candidates of one user, with the scores that they were found by."""

    places: NDArray[np.int64]
    """(K,) in the catalog, ascending."""
    follow: NDArray[np.float32]
    """(K,)"""
    ease: NDArray[np.float32]
    """(K,)"""


@dataclass(frozen=True, slots=True)
class Signals:
    """Everything fitted on one set of histories."""

    offsets: NDArray[np.int64]
    """(U + 1,) of the histories."""
    places: NDArray[np.int64]
    """(E,) item of each event."""
    follow: Matrix
    """(I, I) ordered co-visitation per event of the earlier item."""
    next: Matrix
    """(I, I) the same at a distance of one."""
    ease: Matrix
    """(I, I) weights of EASE."""
    near: Matrix
    """(I, I) cosines."""
    facts: ItemFacts

    @classmethod
    def fit(cls, history: Interactions, at_ms: NDArray[np.int64]) -> Self:
        """Counts, and one inverse. `at_ms` is when each user is asked about."""
        places, lengths = columns(history), np.diff(history.offsets)
        items = history.items.height
        events = np.maximum(np.bincount(places, minlength=items), 1)
        ease = EasePeer.fit(history)
        return cls(
            history.offsets,
            places,
            _per_event(places, lengths, events, FOLLOWING.window),
            _per_event(places, lengths, events, 1),
            ease.weights,
            cosines(ease.rows).toarray(),
            ItemFacts.fit(history, places, at_ms),
        )

    @property
    def items(self) -> int:
        """I, the size of the catalog."""
        return int(self.follow.shape[0])

    def candidates(self, user: int) -> Found:
        """The best PER_SOURCE unseen items of each source, together."""
        follow, ease = self.followed(user), self.faded(user)
        seen = self._history(user)
        best = np.union1d(_best(follow, seen), _best(ease, seen))
        return Found(best, follow[best], ease[best])

    def followed(self, user: int) -> NDArray[np.float32]:
        """(I,) co-visitation over the newest items."""
        return _decayed(self.follow, self._history(user), FOLLOWING.decay, FOLLOWING.last)

    def faded(self, user: int) -> NDArray[np.float32]:
        """(I,) EASE over the newest items."""
        return _decayed(self.ease, self._history(user), FADING.decay, FADING.last)

    def features(self, user: int, found: Found) -> NDArray[np.float32]:
        """(K, F) pair signals, facts of the items, and the user's way of the moment."""
        newest, k = self._history(user), found.places
        near_0 = _sum(self.near, newest[:1], k)
        pairs = np.stack(
            [
                found.follow, _rank(found.follow),
                *(_sum(self.follow, newest[place : place + 1], k) for place in range(3)),
                _sum(self.follow, newest[:5], k),
                self.follow[k, newest[0]] if newest.size else np.zeros(k.size, np.float32),
                _sum(self.next, newest[:1], k), _sum(self.next, newest[:3], k),
                found.ease, _rank(found.ease),
                _sum(self.ease, newest[:1], k), _sum(self.ease, newest[:3], k), _sum(self.ease, newest, k),
                near_0, _rank(near_0),
                _sum(self.near, newest[:5], k), _sum(self.near, newest, k) / max(newest.size, 1),
            ],
            axis=1,
        )  # fmt: skip
        return np.concatenate([pairs, self.facts.of(user, newest, k)], axis=1)

    def _history(self, user: int) -> NDArray[np.int64]:
        """Items of the user, newest first."""
        return self.places[self.offsets[user] : self.offsets[user + 1]][::-1]


def _per_event(places: NDArray[np.int64], lengths: NDArray[np.int64], events: NDArray[np.int64], window: int) -> Matrix:
    counts: sp.csr_array = transition_counts(places.astype(np.int32), lengths, events.size, window)
    return np.asarray(counts.toarray() / events[:, None], np.float32)


def _decayed(weights: Matrix, newest: NDArray[np.int64], decay: float, last: int) -> NDArray[np.float32]:
    rows = newest[:last]
    return np.asarray(np.power(np.float32(decay), np.arange(rows.size, dtype=np.float32)) @ weights[rows])


def _sum(weights: Matrix, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.asarray(weights[np.ix_(rows, columns)].sum(axis=0))


def _best(scores: NDArray[np.float32], seen: NDArray[np.int64]) -> NDArray[np.int64]:
    free = scores.copy()
    free[seen] = -np.inf
    order = np.argsort(-free, kind="stable")[:PER_SOURCE]
    return order[np.isfinite(free[order])]


def _rank(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    falling = -scores
    return np.asarray(np.log2(1.0 + np.searchsorted(np.sort(falling), falling)), np.float32)
