"""Between the fold's states and the columns of the online store.

users = user_states([views["user_activity"] rows, ...])      # what Redis holds
columns = user_columns([apply(users[0], event)])             # what goes back: view -> columns for pack()
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.features.rows import Rows
from services.ingest.activity import DAY_US, Counts, Exclusions, History, ItemActivity, UserActivity

Columns = dict[str, Sequence[Any] | NDArray[Any]]

STATE_FIELDS = ("event_count", "like_count", "judged_count", "value_count", "value_sum", "recent_count", "last_seen_us")
"""Fields of the activity views that are the fold's state."""


def user_columns(users: Sequence[UserActivity]) -> dict[str, Columns]:
    """View name -> columns of user_activity, user_history and user_exclusions; event times are `updated_us`."""
    return {
        "user_activity": counts_columns([user.counts for user in users]),
        "user_history": {
            "history": [user.history.items for user in users],
            "history_times": [user.history.times_ms for user in users],
            "history_values": [user.history.values for user in users],
        },
        "user_exclusions": {
            "seen": [user.exclusions.seen for user in users],
            "hidden": [user.exclusions.hidden for user in users],
        },
    }


def item_columns(items: Sequence[ItemActivity]) -> dict[str, Columns]:
    """View name -> columns of item_activity."""
    return {"item_activity": counts_columns([item.counts for item in items])}


def counts_columns(counts: Sequence[Counts]) -> Columns:
    """The columns of an activity view, derived rates included."""
    columns: Columns = {name: [getattr(count, name) for count in counts] for name in STATE_FIELDS}
    columns["like_rate"] = [count.like_rate for count in counts]
    columns["mean_value"] = [count.mean_value for count in counts]
    columns["last_seen_days"] = [count.last_seen_us / DAY_US if count.event_count else math.nan for count in counts]
    return columns


def user_states(rows: Mapping[str, Rows]) -> list[UserActivity]:
    """The states behind the rows of the three user views, read for the same ids; absent ones are empty."""
    counts, exclusions = counts_of(rows["user_activity"]), rows["user_exclusions"]
    times = np.max([view.event_times_us() for view in rows.values()], axis=0)
    return [
        UserActivity(*state)
        for state in zip(
            counts,
            _histories(rows["user_history"]),
            map(Exclusions, _tuples(exclusions, "seen"), _tuples(exclusions, "hidden")),
            times.tolist(),
            strict=True,
        )
    ]


def item_states(rows: Rows) -> list[ItemActivity]:
    """The states behind the rows of item_activity; absent ones are empty."""
    return [ItemActivity(*state) for state in zip(counts_of(rows), rows.event_times_us().tolist(), strict=True)]


def counts_of(rows: Rows) -> list[Counts]:
    """The counts behind the rows of an activity view."""
    columns = [rows.values(name) for name in STATE_FIELDS]
    return [Counts() if None in fields else Counts(*fields) for fields in zip(*columns, strict=True)]


def _histories(rows: Rows) -> list[History]:
    columns = [_tuples(rows, name) for name in ("history", "history_times", "history_values")]
    return [History(*fields) for fields in zip(*columns, strict=True)]


def _tuples(rows: Rows, name: str) -> list[tuple[Any, ...]]:
    return [() if value is None else tuple(value.tolist()) for value in rows.values(name)]
