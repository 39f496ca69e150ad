"""The people of the simulation: what each of them would select and like, whoever recommends it.

P(select | examined) = c * sigmoid(a0 * <p, q> + a1 * log popularity + b); P(satisfied | selected) is that of a rating
of 4 or more. Everything is kept as arrays in one file, so that every arm and every rerun meets the same people.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class World:
    """U users and I items, by row; ids are sorted."""

    user_ids: NDArray[np.uint64]
    """(U,)"""
    item_ids: NDArray[np.uint64]
    """(I,)"""
    taste: NDArray[np.float32]
    """(U, F) p"""
    traits: NDArray[np.float32]
    """(I, F) q"""
    log_popularity: NDArray[np.float32]
    """(I,) log(1 + held-out ratings)"""
    selection: Numbers
    """(4,) a0, a1, b and the scale c."""
    judgement: NDArray[np.float32]
    """(U, G) factors of the ratings; the last two are (user bias, 1)."""
    quality: NDArray[np.float32]
    """(I, G) factors of the ratings; the last two are (1, item bias)."""
    satisfaction: Numbers
    """(2,) slope and intercept from a predicted rating to the log-odds of 4 or more."""
    seen_users: NDArray[np.int64]
    """(S,) rows of the ratings the system knows: their items are never shown."""
    seen_items: NDArray[np.int64]
    """(S,)"""
    genres: NDArray[np.bool_]
    """(I, G) of each item."""
    held_out: NDArray[np.int64]
    """(U,) ratings each user's taste was fitted on."""

    def save(self, path: Path) -> None:
        """Writes the file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft.npz")
        np.savez(draft, **{field.name: getattr(self, field.name) for field in fields(self)})
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> World:
        """What `save` wrote; FileNotFoundError when it did not."""
        with np.load(path) as kept:
            return cls(**{field.name: kept[field.name] for field in fields(cls)})

    def people(self, seed: int, count: int, least_held_out: int = 20) -> NDArray[np.int64]:
        """(count,) rows of users whose taste is known well enough, drawn by `seed`.

        ValueError when there are not as many.
        """
        eligible = np.flatnonzero(self.held_out >= least_held_out)
        if count > eligible.size:
            raise ValueError(f"{count} users are wanted; only {eligible.size} have {least_held_out} held-out ratings.")
        return np.sort(np.random.default_rng(seed).choice(eligible, count, replace=False))

    def taste_of(self, users: NDArray[np.int64], turn: int = 0, drift: float = 0.0) -> NDArray[np.float32]:
        """(B, F) taste in round `turn`, rotated by `drift` radians a round towards that of another user."""
        own = self.taste[users]
        if not drift:
            return own
        other = self.taste[(users * 31 + 17) % len(self.taste)]
        length = np.linalg.norm(own, axis=1, keepdims=True) / np.maximum(np.linalg.norm(other, axis=1), 1e-9)[:, None]
        return np.asarray(np.cos(drift * turn) * own + np.sin(drift * turn) * length * other, np.float32)

    def selected(self, users: NDArray[np.int64], turn: int = 0, drift: float = 0.0) -> Numbers:
        """(B, I) P(select | examined) in round `turn`."""
        liking, popularity, level, scale = self.selection
        score = liking * (self.taste_of(users, turn, drift) @ self.traits.T).astype(np.float64)
        return np.asarray(scale * sigmoid(score + popularity * self.log_popularity + level))

    def satisfied(self, users: NDArray[np.int64]) -> Numbers:
        """(B, I) P(satisfied | selected)."""
        slope, intercept = self.satisfaction
        rating = (self.judgement[users] @ self.quality.T).astype(np.float64)
        return sigmoid(slope * rating + intercept)

    def pool(self, users: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(B, I) items that were never part of what the system knows of the user."""
        place = np.full(len(self.user_ids), -1)
        place[users] = np.arange(users.size)
        rows = place[self.seen_users]
        free = np.ones((users.size, len(self.item_ids)), np.bool_)
        free[rows[rows >= 0], self.seen_items[rows >= 0]] = False
        return free


def sigmoid(score: Numbers) -> Numbers:
    """1 / (1 + exp(-x))."""
    return np.asarray(1.0 / (1.0 + np.exp(-score)))
