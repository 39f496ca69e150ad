"""What a model may know of a user: one record per request, the same in training and in serving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

HISTORY_LENGTH = 200
"""Events kept in a user's history; the oldest falls out first."""


@dataclass(frozen=True, slots=True)
class UserState:
    """A user at one moment, seen from strictly earlier events.

    Arrays of the history run from the oldest to the newest event and share one length L <= HISTORY_LENGTH.
    """

    user_id: int
    profile: Mapping[str, str] = field(default_factory=dict)
    """Categorical attributes, for example gender, age, occupation; absent when unknown."""
    history: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    """(L,) item ids."""
    history_times: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """(L,) event times, milliseconds since 1970, 0 where unknown; all are when none is given."""
    history_values: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    """(L,) value of each event: a rating 1..5, NaN where the event carries none; all are when none is given."""
    activity: Mapping[str, float] = field(default_factory=dict)
    """Counts and rates by name; NaN or absent when unknown."""
    seen: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    """(S,) every item the user interacted with, bounded; a superset of `history`."""
    hidden: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    """(H,) items the user asked never to see again."""
    at_ms: int = 0
    """The moment, milliseconds since 1970; 0 when unknown."""

    def __post_init__(self) -> None:
        if not self.history_times.size:
            object.__setattr__(self, "history_times", np.zeros(self.history.size, np.int64))
        if not self.history_values.size:
            object.__setattr__(self, "history_values", np.full(self.history.size, np.nan, np.float32))

    @property
    def is_cold(self) -> bool:
        """True when nothing is known that could personalise an answer."""
        return self.history.size == 0
