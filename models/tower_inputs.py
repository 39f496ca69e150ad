"""Users as the arrays that the user tower reads, the same in training, evaluation and serving."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.user import HISTORY_LENGTH, UserState

PROFILE_FIELDS = ("gender", "age", "occupation", "region")
"""Profile attributes with an embedding each."""
WAITS = 28
"""Number of indices that `waits` tells times apart by."""


@dataclass(frozen=True, eq=False)
class TowerInputs:
    """The vocabularies of a user tower."""

    item_ids: NDArray[np.uint64]
    """(I,) sorted; item i has index i, and I stands for padding."""
    user_ids: NDArray[np.uint64]
    """(U,) sorted; user u has index u + 1, and 0 stands for anyone else."""
    profiles: Mapping[str, tuple[str, ...]]
    """Known values of each of PROFILE_FIELDS."""

    @property
    def profile_size(self) -> int:
        """Number of profile indices over all fields, one unknown per field included."""
        return sum(len(values) + 1 for values in self.profiles.values())

    def columns(self, users: Sequence[UserState]) -> dict[str, NDArray[np.int64]]:
        """history (B, L) with the padding at the end, waited (B, L + 1), length (B,), user (B,), profile
        (B, len(PROFILE_FIELDS)).

        L is the longest history of the batch, at least 1. Items that the tower does not know are left out. Place t of
        `waited` is the wait after the first t items: until the next of them, or until the user's moment.
        """
        histories = [self._known(user) for user in users]
        length = np.array([rows.size for rows, _ in histories], np.int64)
        history = np.full((len(users), max(1, int(length.max(initial=0)))), self.item_ids.size, np.int64)
        waited = np.zeros((len(users), history.shape[1] + 1), np.int64)
        for row, (items, waits_after) in enumerate(histories):
            history[row, : items.size] = items
            waited[row, 1 : items.size + 1] = waits_after
        return {
            "history": history,
            "waited": waited,
            "length": length,
            "user": self.user_rows(np.array([user.user_id for user in users], np.uint64)),
            "profile": np.array([self.profile_rows(user.profile) for user in users], np.int64),
        }

    def _known(self, user: UserState) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(l,) rows of the newest items, oldest first, and (l,) the wait after each."""
        rows = self.item_rows(user.history[-HISTORY_LENGTH:])
        known = rows >= 0
        moments = np.append(user.history_times[-HISTORY_LENGTH:][known], user.at_ms)
        return rows[known], waits(moments[:-1], moments[1:])

    def item_rows(self, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        """(K,) index of each item, -1 for the unknown."""
        return _places(self.item_ids, ids)

    def user_rows(self, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        """(K,) index of each user, 0 for the unknown."""
        return _places(self.user_ids, ids) + 1

    def profile_rows(self, profile: Mapping[str, str]) -> list[int]:
        """One index per field into a table that holds all fields one after the other."""
        rows, start = [], 0
        for name, values in self.profiles.items():
            value = profile.get(name)
            rows.append(start + (values.index(value) + 1 if value in values else 0))
            start += len(values) + 1
        return rows

    def to_json(self) -> dict[str, Any]:
        """The profile vocabulary as JSON values; ids are kept as arrays beside the model."""
        return {"profiles": [[name, list(values)] for name, values in self.profiles.items()]}


def waits(earlier_ms: NDArray[np.int64], later_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """(T,) and (T,) moments -> (T,) indices of the time between them.

    0: unknown, as one of the two is. 1: less than half a second. Above, it grows by one with every doubling.
    """
    seconds = (np.maximum(later_ms - earlier_ms, 0) + 500) // 1000
    index = np.where(seconds == 0, 1, 2 + np.log2(np.maximum(seconds, 1)).astype(np.int64))
    return np.where((earlier_ms > 0) & (later_ms > 0), np.minimum(index, WAITS - 1), 0)


def profiles_from_json(data: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The reverse of TowerInputs.to_json."""
    return {name: tuple(values) for name, values in data["profiles"]}


def _places(known: NDArray[np.uint64], ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    if not known.size:
        return np.full(ids.shape, -1, np.int64)
    places = np.minimum(np.searchsorted(known, ids), known.size - 1)
    return np.where(known[places] == ids, places, -1)
