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
    users = _Users(model, past, past_seconds, drift)
    z = model.items.astype(np.float32)[now.items]
    aims = (now.values - model.mean - model.item_bias[now.items]).astype(np.float32)
    bias, match, variance = np.empty((3, now.users.size), np.float32)
    for events in turns.events:
        begin = events[turns.begins[events]]
        users.begin_second(now.users[begin], seconds[begin])
        bias[events], match[events], variance[events] = users.expect(now.users[events], z[events])
        users.learn(now.users[events], z[events], aims[events])
    return Expectation(bias, model.item_bias[now.items].astype(np.float32), match, variance)


class _Users:
    """What is known of every user: after all their ratings, and as it was when their newest second began."""

    def __init__(self, model: Rlfm, past: Ratings, past_seconds: Rows, drift: float) -> None:
        self._means, self._covariances = (part.astype(np.float32) for part in model.posterior(past))
        self._means_before, self._covariances_before = self._means.copy(), self._covariances.copy()
        self._unrest, self._noise = (drift * model.covariance).astype(np.float32), np.float32(model.noise)
        self._last = np.full(len(self._means), np.iinfo(np.int64).max)
        """Second of the newest rating; without one there was no pause."""
        self._last[past.users] = past_seconds

    def begin_second(self, users: Rows, seconds: Rows) -> None:
        """Each of these different users begins a second, and with it maybe a visit."""
        self._covariances[users[seconds - self._last[users] > _PAUSE_S]] += self._unrest
        self._last[users] = seconds
        self._means_before[users], self._covariances_before[users] = self._means[users], self._covariances[users]

    def expect(self, users: Rows, z: Narrow) -> tuple[Narrow, Narrow, Narrow]:
        """Bias, match and variance of users and (N, D) items, (N,) each, as their second began."""
        means = self._means_before[users]
        variance = np.einsum("nd,nd->n", _times(self._covariances_before[users], z), z)
        return means[:, 0], np.einsum("nd,nd->n", means[:, 1:], z[:, 1:]), variance

    def learn(self, users: Rows, z: Narrow, aims: Narrow) -> None:
        """Takes in a rating of each of these different users, less the mean and the item's bias."""
        means, covariances = self._means[users], self._covariances[users]
        reach = _times(covariances, z)
        gain = reach / (self._noise + np.einsum("nd,nd->n", reach, z))[:, None]
        surprise = aims - np.einsum("nd,nd->n", means, z)
        self._means[users] = means + gain * surprise[:, None]
        self._covariances[users] = covariances - gain[:, :, None] * reach[:, None, :]


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
