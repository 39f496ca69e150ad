"""What P2 predicts of a rating: the user likes it, loves it, returns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.feature_blocks import LIKED
from services.trainer.p2.log import Floats, RatingLog

HEADS = ("like", "love", "return")
"""Rated 4 or more; rated 5; rated something else in a later second within ten minutes. (A click is nothing that ratings
tell of.)"""
LOVED = 5.0
RETURN_S = 600


def head_labels(log: RatingLog, ends: Sequence[int]) -> Floats:
    """(E, H) 1 or 0. `ends` are the places where the parts of the split end.

    A part must not be told what happens after it: where its last ten minutes leave the return open, it is NaN.
    """
    likes, loves = log.ratings >= LIKED, log.ratings >= LOVED
    wait = _wait(log)
    returns = (wait <= RETURN_S).astype(np.float32)
    for begin, end in zip([0, *ends[:-1]], ends, strict=True):
        part = slice(begin, end)
        left = log.seconds[end - 1] - log.seconds[part]
        returns[part][(left < RETURN_S) & ~(wait[part] <= left)] = np.nan
    return np.stack([likes, loves, returns], axis=1, dtype=np.float32, casting="unsafe")


def _wait(log: RatingLog) -> Floats:
    """(E,) seconds until the user's next later second, infinite after the last."""
    order = np.lexsort((log.seconds, log.users))
    users, seconds = log.users[order], log.seconds[order]
    starts = np.flatnonzero((np.diff(users, prepend=-1) != 0) | (np.diff(seconds, prepend=-1) != 0))
    group = np.repeat(np.arange(starts.size), np.diff(starts, append=users.size))
    following = np.minimum(group + 1, starts.size - 1)
    same = (group < starts.size - 1) & (users[starts[following]] == users)
    wait = np.empty(len(log), np.float32)
    wait[order] = np.where(same, seconds[starts[following]] - seconds, np.inf)
    return wait
