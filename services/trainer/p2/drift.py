"""How far the latent factors have been off lately, for the user and for the item: taste drifts, and so does fame."""

from __future__ import annotations

import numpy as np

from services.trainer.p2.earlier import Earlier, surplus
from services.trainer.p2.log import Floats, RatingLog
from services.trainer.p2.means import Columns

_USER_WINDOWS, _ITEM_WINDOWS = (5, 20, 60), (50, 200)
"""Newest earlier ratings."""


def drift_columns(log: RatingLog, expected: Floats) -> Columns:
    """Mean surprise by window; `expected` (E,) is NaN where no model was there to be surprised."""
    known = ~np.isnan(expected)
    surprise = np.where(known, log.ratings - expected, 0.0).astype(np.float32)
    values = np.stack([known.astype(np.float32), surprise], axis=1)
    sizes = np.stack([known.astype(np.float32), np.abs(surprise)], axis=1)
    by_user, by_item = Earlier(log.users, log.seconds), Earlier(log.items, log.seconds)
    return {
        **{f"user_surprise_{window}": surplus(by_user.sums(values, window)) for window in _USER_WINDOWS},
        **{f"item_surprise_{window}": surplus(by_item.sums(values, window)) for window in _ITEM_WINDOWS},
        "user_surprise_size": surplus(by_user.sums(sizes, 5 * _USER_WINDOWS[1])),
    }
