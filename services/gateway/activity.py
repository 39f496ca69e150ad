"""What users did in the last seconds, known here before features tells it: the very next answer honours it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from cachetools import LRUCache, TTLCache
from numpy.typing import NDArray

from models.user import UserState

ITEMS_PER_USER = 200
"""Just-posted items remembered for one user; the oldest goes first."""


class RecentActivity:
    """Items each user has just posted about; `hide` is remembered as such. Bounded in users, items and time."""

    def __init__(self, seconds: float, users: int = 50_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._by_user: TTLCache[int, dict[int, bool]] = TTLCache(users, seconds, timer=clock)

    def note(self, user_id: int, item_id: int, hidden: bool) -> None:
        """The user did something with the item; the clock of this user's items starts anew."""
        items = self._by_user.get(user_id, {})
        items[item_id] = hidden or items.pop(item_id, False)
        if len(items) > ITEMS_PER_USER:
            del items[next(iter(items))]
        self._by_user[user_id] = items

    def applied(self, user: UserState) -> UserState:
        """The user with these items among the seen, and the hidden ones among the hidden."""
        items = self._by_user.get(user.user_id)
        if not items:
            return user
        ids, flags = np.array(list(items), np.uint64), np.array(list(items.values()), np.bool_)
        return replace(user, seen=_joined(user.seen, ids[~flags]), hidden=_joined(user.hidden, ids[flags]))


def _joined(known: NDArray[np.uint64], new: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Each item once: how many a user has seen is a feature, and features may know of the newest already."""
    return np.concatenate([known, new[~np.isin(new, known)]])


class LastKnownUsers:
    """The last state features told of each user, for when it does not answer. The least recently used goes first."""

    def __init__(self, users: int) -> None:
        self._states: LRUCache[int, UserState] = LRUCache(users)

    def remember(self, user: UserState) -> None:
        """Keeps the state."""
        self._states[user.user_id] = user

    def recall(self, user_id: int) -> UserState | None:
        """The last state, or None."""
        return self._states.get(user_id)

    def forget(self, user_id: int) -> None:
        """The user was deleted or changed."""
        self._states.pop(user_id, None)
