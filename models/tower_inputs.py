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
        """history (B, L) with the padding at the end, length (B,), user (B,), profile (B, len(PROFILE_FIELDS)).

        L is the longest history of the batch, at least 1. Items that the tower does not know are left out.
        """
        histories = [self.item_rows(user.history[-HISTORY_LENGTH:]) for user in users]
        histories = [rows[rows >= 0] for rows in histories]
        length = np.array([rows.size for rows in histories], np.int64)
        history = np.full((len(users), max(1, int(length.max(initial=0)))), self.item_ids.size, np.int64)
        for row, items in zip(history, histories, strict=True):
            row[: items.size] = items
        return {
            "history": history,
            "length": length,
            "user": self.user_rows(np.array([user.user_id for user in users], np.uint64)),
            "profile": np.array([self.profile_rows(user.profile) for user in users], np.int64),
        }

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


def profiles_from_json(data: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The reverse of TowerInputs.to_json."""
    return {name: tuple(values) for name, values in data["profiles"]}


def _places(known: NDArray[np.uint64], ids: NDArray[np.uint64]) -> NDArray[np.int64]:
    if not known.size:
        return np.full(ids.shape, -1, np.int64)
    places = np.minimum(np.searchsorted(known, ids), known.size - 1)
    return np.where(known[places] == ids, places, -1)
