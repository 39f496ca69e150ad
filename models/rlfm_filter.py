"""What a model of latent factors expects of a rating at its second: users' vectors follow their earlier ratings.

The Kalman filter of a linear regression: each rating is one measurement of its user's vector (West and Harrison,
"Bayesian Forecasting and Dynamic Models", 1997, section 4.4), which drifts a little from one visit to the next.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.rlfm import Ratings, Rlfm

Narrow = NDArray[np.float32]
Rows = NDArray[np.int64]

DRIFT = 0.03
"""Share of the prior's covariance that a pause between two visits adds to the uncertainty about a user."""
_PAUSE_S = 3600
"""Seconds without a rating that end a visit."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What was expected of each of N ratings; all (N,)."""

    user_bias: Narrow
    item_bias: Narrow
    match: Narrow
    """What the user's factors and the item's say to each other."""
    variance: Narrow
    """How little is known of the user in the direction of the item."""


def expectations(
    model: Rlfm, past: Ratings, now: Ratings, past_seconds: Rows, seconds: Rows, drift: float = DRIFT
) -> Expectation:
    """What the model expects of the ratings `now` (times `seconds`, ascending), each from its user's strictly earlier
    ones: all of `past`, and those of `now` in earlier seconds."""
    turns = _Turns.of(now.users, seconds)
    means, covariances = (part.astype(np.float32) for part in model.posterior(past))
    before = means.copy(), covariances.copy()
    last = np.full(len(means), np.iinfo(np.int64).max)
    last[past.users] = past_seconds
    z = model.items.astype(np.float32)[now.items]
    aims = (now.values - model.mean - model.item_bias[now.items]).astype(np.float32)
    unrest, noise = (drift * model.covariance).astype(np.float32), np.float32(model.noise)
    expected, variance = np.empty((2, now.users.size), np.float32), np.empty(now.users.size, np.float32)
    for events in turns.events:
        users = now.users[events]
        begins = turns.begins[events]
        fresh, at = users[begins], seconds[events[begins]]
        covariances[fresh[at - last[fresh] > _PAUSE_S]] += unrest
        last[fresh] = at
        before[0][fresh], before[1][fresh] = means[fresh], covariances[fresh]
        expected[0, events] = before[0][users, 0]
        expected[1, events] = np.einsum("nd,nd->n", before[0][users, 1:], z[events, 1:])
        variance[events] = np.einsum("nd,nd->n", _times(before[1][users], z[events]), z[events])
        means[users], covariances[users] = _measured(means[users], covariances[users], z[events], aims[events], noise)
    return Expectation(expected[0], model.item_bias[now.items].astype(np.float32), expected[1], variance)


def _measured(means: Narrow, covariances: Narrow, z: Narrow, aims: Narrow, noise: np.float32) -> tuple[Narrow, Narrow]:
    """The vectors (N, D) after one rating each."""
    reach = _times(covariances, z)
    gain = reach / (noise + np.einsum("nd,nd->n", reach, z))[:, None]
    surprise = aims - np.einsum("nd,nd->n", means, z)
    return means + gain * surprise[:, None], covariances - gain[:, :, None] * reach[:, None, :]


def _times(matrices: Narrow, vectors: Narrow) -> Narrow:
    product: Narrow = (matrices @ vectors[:, :, None])[:, :, 0]
    return product


@dataclass(frozen=True, slots=True)
class _Turns:
    """Events so grouped that each group has one of every user at most, and a user's come in order."""

    events: list[Rows]
    begins: NDArray[np.bool_]
    """(N,) whether the event is its user's first of its second."""

    @classmethod
    def of(cls, users: Rows, seconds: Rows) -> _Turns:
        """From (N,) events in the order of time."""
        order = np.argsort(users, kind="stable")
        mine = users[order]
        first = np.diff(mine, prepend=-1) != 0
        place = np.arange(users.size)
        turn = place - np.maximum.accumulate(np.where(first, place, 0))
        begins = np.empty(users.size, bool)
        begins[order] = first | (np.diff(seconds[order], prepend=-1) != 0)
        by_turn = np.argsort(turn, kind="stable")
        return cls(np.split(order[by_turn], np.cumsum(np.bincount(turn))[:-1]), begins)
