"""Means over earlier ratings that no view of the feature store holds: the user in a genre, the item in an age group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.ingest.activity import PRIOR_VALUE
from services.trainer.p2.activity import Known
from services.trainer.p2.earlier import Earlier, smoothed, spread, surplus
from services.trainer.p2.log import Floats, RatingLog

Columns = dict[str, NDArray[np.floating]]

_WINDOW = 20
"""Newest events behind the `recent` features."""


@dataclass(frozen=True, slots=True)
class Beyond:
    """What each rating says beyond a mean, beside a one that counts it; both (E, 2)."""

    taste: Floats
    """Beyond the item's mean: the user's."""
    merit: Floats
    """Beyond the user's mean: the item's."""

    @classmethod
    def of(cls, log: RatingLog, known: Known) -> Beyond:
        """By the means known at each event."""
        ones = np.ones(len(log), np.float32)
        return cls(*(np.stack([ones, log.ratings - side.mean], axis=1) for side in (known.item, known.user)))


def side_means(log: RatingLog, known: Known, beyond: Beyond) -> Columns:
    """The user alone and the item alone, lately and always."""
    base = np.stack([np.ones(len(log), np.float32), log.ratings, log.ratings**2], axis=1)
    by_user, by_item = Earlier(log.users, log.seconds), Earlier(log.items, log.seconds)
    recent = by_user.sums(base[:, :2], _WINDOW)
    bias = surplus(by_user.sums(beyond.taste))
    return {
        "user_spread": spread(by_user.sums(base)),
        "item_spread": spread(by_item.sums(base)),
        "year": log.years[log.items],
        "user_log_idle": np.log1p(by_user.since()),
        "item_log_idle": np.log1p(by_item.since()),
        "user_bias": bias,
        "user_bias_recent": surplus(by_user.sums(beyond.taste, _WINDOW)),
        "user_mean_recent": smoothed(recent[:, 1], recent[:, 0], PRIOR_VALUE),
        "item_merit": surplus(by_item.sums(beyond.merit)),
        "item_merit_recent": surplus(by_item.sums(beyond.merit, 5 * _WINDOW)),
        "expected": known.item.mean + bias,
    }


def segment_means(log: RatingLog, beyond: Beyond) -> Columns:
    """The item among people like the user, one attribute at a time."""
    found: Columns = {}
    for name, of_user in log.profiles.items():
        group = log.items * (int(of_user.max()) + 1) + of_user[log.users]
        found[f"item_{name}_merit"] = surplus(Earlier(group, log.seconds).sums(beyond.merit))
    return found


def content_means(log: RatingLog, beyond: Beyond) -> Columns:
    """The user's taste in the item's decade and in its genres: mean, best, worst, and how often they met them."""
    decade = Earlier(log.users * 1000 + log.decades[log.items], log.seconds)
    event, genre = np.nonzero(log.genres[log.items])
    key = log.users[event] * log.genres.shape[1] + genre
    sums = Earlier(key, log.seconds[event]).sums(beyond.taste[event])
    bias, count = surplus(sums), np.maximum(np.bincount(event, minlength=len(log)), 1)
    best, worst = np.full(len(log), -np.inf, np.float32), np.full(len(log), np.inf, np.float32)
    np.maximum.at(best, event, bias)
    np.minimum.at(worst, event, bias)
    return {
        "user_decade_bias": surplus(decade.sums(beyond.taste)),
        "genre_bias": np.bincount(event, bias, minlength=len(log)) / count,
        "genre_bias_best": np.where(np.isfinite(best), best, np.nan),
        "genre_bias_worst": np.where(np.isfinite(worst), worst, np.nan),
        "genre_log_count": np.log1p(np.bincount(event, sums[:, 0], minlength=len(log)) / count),
    }
