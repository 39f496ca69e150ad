"""What latent factors expect of every rating, each by a model fitted on earlier ratings only.

A score from a model that has seen the label teaches the ranker to trust it blindly. So the log is cut into slices: a
model is fitted on all that lies before a slice, and within it only the users' vectors follow what they rate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.rlfm import Ratings, RlfmConfig, fit_rlfm
from models.rlfm_filter import expectations
from services.trainer.p2.log import RatingLog
from services.trainer.p2.means import Columns

_NAMES = ("latent_expected", "latent_user", "latent_item", "latent_match", "latent_variance")


def latent_columns(
    log: RatingLog, cuts: Sequence[int], config: RlfmConfig, seed: int, progress: Callable[[int, int], None]
) -> Columns:
    """(E,) columns; NaN before the first of the `cuts`, which are places between seconds, ascending."""
    found = np.full((len(_NAMES), len(log)), np.nan, np.float32)
    users, items = _user_features(log), _item_features(log)
    for number, (begin, end) in enumerate(zip(cuts, [*cuts[1:], len(log)], strict=True)):
        past, now = _ratings(log, slice(0, begin)), _ratings(log, slice(begin, end))
        model = fit_rlfm(past, users, items, config, seed)
        expected = expectations(model, past, now, log.seconds[:begin], log.seconds[begin:end])
        whole = model.mean + expected.user_bias + expected.item_bias + expected.match
        found[:, begin:end] = (whole, expected.user_bias, expected.item_bias, expected.match, expected.variance)
        progress(number + 1, len(cuts))
    return dict(zip(_NAMES, found, strict=True))


def _ratings(log: RatingLog, part: slice) -> Ratings:
    return Ratings(log.users[part], log.items[part], log.ratings[part].astype(np.float64))


def _user_features(log: RatingLog) -> NDArray[np.float64]:
    ones = np.ones((log.user_ids.size, 1))
    return np.hstack([ones, *(np.eye(int(values.max()) + 1)[values] for values in log.profiles.values())])


def _item_features(log: RatingLog) -> NDArray[np.float64]:
    decades = np.unique(log.decades, return_inverse=True)[1]
    return np.hstack([np.ones((log.item_ids.size, 1)), log.genres, np.eye(int(decades.max()) + 1)[decades]])
