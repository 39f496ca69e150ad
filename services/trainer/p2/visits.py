"""When the event comes: how deep into a visit, how fast the user went, how long they are known, which hour it is."""

from __future__ import annotations

import numpy as np

from services.trainer.p2.earlier import Earlier
from services.trainer.p2.log import Keys, RatingLog
from services.trainer.p2.means import Columns

_PAUSE_S = 1800
"""Seconds without an event that end a visit."""
_PACE = (3, 10)
"""How many events back the pace looks."""


def visit_columns(log: RatingLog) -> Columns:
    """(E,) columns."""
    by_user, ones = Earlier(log.users, log.seconds), np.ones((len(log), 1), np.float32)
    visits, started, first = _visits(log)
    day, hour = np.divmod(log.seconds + log.shift_us // 1_000_000, 86_400)
    return {
        "visit_log_count": np.log1p(Earlier(visits, log.seconds).sums(ones)[:, 0]),
        "visit_log_age": np.log1p(log.seconds - started),
        "user_log_age": np.log1p(log.seconds - first),
        **{f"pace_{newest}": np.log1p(by_user.since(newest)) for newest in _PACE},
        "last_page": by_user.last_second(),
        "hour": hour // 3600,
        "weekday": day % 7,
    }


def _visits(log: RatingLog) -> tuple[Keys, Keys, Keys]:
    """(E,) each event's visit, the second that visit began, and the user's first second."""
    order = np.argsort(log.users, kind="stable")
    seconds = log.seconds[order]
    new_user = np.diff(log.users[order], prepend=-1) != 0
    new_visit = new_user | (np.diff(seconds, prepend=0) > _PAUSE_S)
    place = np.arange(len(log))
    visit, started, first = (np.empty(len(log), np.int64) for _ in range(3))
    visit[order] = np.cumsum(new_visit)
    started[order] = seconds[np.maximum.accumulate(np.where(new_visit, place, 0))]
    first[order] = seconds[np.maximum.accumulate(np.where(new_user, place, 0))]
    return visit, started, first
