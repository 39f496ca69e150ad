"""A catalog and users that tests know by heart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.items import ITEM_COLUMNS, ItemRows
from models.user import UserState

ITEMS = (*range(1, 41), 296, 318, 858)
"""Item ids; the larger the id, the older and the less popular, and the better for the ranker."""
GENRES = ("Action", "Comedy", "Drama")


def item_rows(ids: tuple[int, ...] = ITEMS) -> ItemRows:
    """Items by number: title "Film <id>", genre by id modulo 3."""
    features = np.full((len(ids), len(ITEM_COLUMNS)), np.nan, np.float32)
    for row, number in enumerate(ids):
        features[row] = (1990, 20_000 - number, 1000 - number, 1000 - number, 0.5, 3.5, 20_000)
    return ItemRows(
        ids=np.array(ids, np.uint64),
        item_ids=[str(number) for number in ids],
        titles=[f"Film {number}" for number in ids],
        genres=[(GENRES[number % 3],) for number in ids],
        creators=[() for _ in ids],
        features=features,
    )


def user_state(user_id: int, seen: tuple[int, ...] = (), hidden: tuple[int, ...] = ()) -> UserState:
    """A user who watched `seen`, one a second."""
    return UserState(
        user_id=user_id,
        profile={"gender": "F"},
        history=np.array(seen, np.uint64),
        history_times=np.arange(len(seen), dtype=np.int64) * 1000,
        history_values=np.full(len(seen), 4, np.float32),
        activity={"event_count": float(len(seen))},
        seen=np.array(seen, np.uint64),
        hidden=np.array(hidden, np.uint64),
    )


def renamed(rows: ItemRows, title: str) -> ItemRows:
    """The same items under another title."""
    return replace(rows, titles=[title] * len(rows))
