"""Sequences as rows of the catalog, cut into windows that a sequence model learns from at every position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models.tower_inputs import waits
from models.user import HISTORY_LENGTH

WINDOW = HISTORY_LENGTH + 1
"""Items of a window: each is predicted from those before it, so the last one sees a full history."""


@dataclass(frozen=True, slots=True)
class Batch:
    """B windows. Position t of `history` is item t; position t of `targets` comes after the first t items."""

    users: NDArray[np.int64]
    """(B,) places of the users among the sequences."""
    history: NDArray[np.int64]
    """(B, L) rows of the items, `padding` beyond the end of a window."""
    targets: NDArray[np.int64]
    """(B, L + 1) likewise."""
    waited: NDArray[np.int64]
    """(B, L + 1) index of the time from the event before each target to the target, 0 at the begin of a window."""

    def share(self, rank: int, world: int) -> Batch:
        """The windows of one of `world` processes; the first one where there are too few for all of them."""
        rows = slice(rank, None, world) if rank < self.users.size else slice(0, 1)
        return Batch(self.users[rows], self.history[rows], self.targets[rows], self.waited[rows])


@dataclass(frozen=True, eq=False)
class Sequences:
    """The items of U users, each user's in order."""

    offsets: NDArray[np.int64]
    """(U + 1,) items of user u are at offsets[u] : offsets[u + 1]."""
    items: NDArray[np.int64]
    """(E,) rows of the items."""
    times_ms: NDArray[np.int64]
    """(E,) milliseconds since 1970; 0 for unknown."""
    padding: int
    """Stands where there is no item."""

    @cached_property
    def _waits(self) -> NDArray[np.int64]:
        """(E,) index of the time since the event before, whoever's that was."""
        return np.append(np.zeros(min(1, self.times_ms.size), np.int64), waits(self.times_ms[:-1], self.times_ms[1:]))

    def batches(self, size: int, random: np.random.Generator) -> Iterator[Batch]:
        """Every item once as a target, in windows whose borders are drawn anew with each call."""
        users, begins, ends = self._windows(random)
        # Windows of like length share a batch, so that little is padded; batches come in random order.
        order = np.lexsort((random.random(users.size), ends - begins))
        starts = np.arange(0, order.size, size)
        random.shuffle(starts)
        for start in starts.tolist():
            chosen = order[start : start + size]
            yield self._batch(users[chosen], begins[chosen], ends[chosen])

    def batch_count(self, size: int) -> int:
        """About how many batches one pass has."""
        lengths = np.diff(self.offsets)
        return int(np.ceil((lengths / WINDOW + 0.5)[lengths > 0].sum() / size))

    def without_last(self, users: NDArray[np.int64]) -> tuple[Sequences, NDArray[np.int64], NDArray[np.int64]]:
        """The sequences without the last event of these users, each of whom has one; those items and their times."""
        last = self.offsets[users + 1] - 1
        removed = np.zeros(self.offsets.size, np.int64)
        removed[users + 1] = 1
        shorter = Sequences(
            self.offsets - np.cumsum(removed),
            np.delete(self.items, last),
            np.delete(self.times_ms, last),
            self.padding,
        )
        return shorter, self.items[last], self.times_ms[last]

    def newest(
        self, users: NDArray[np.int64], count: int, at_ms: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """(B, count) newest items of these users, oldest first and padded at the end, (B, count + 1) the waits after
        them as of the moments `at_ms` (B,), and (B,) how many are real."""
        ends = self.offsets[users + 1]
        begins = np.maximum(self.offsets[users], ends - count)
        lengths = ends - begins
        waited = np.zeros((users.size, count + 1), np.int64)
        waited[:, 1:-1] = _gathered(self._waits, begins + 1, ends, count - 1, 0)
        some = np.flatnonzero(lengths)
        waited[some, lengths[some]] = waits(self.times_ms[ends[some] - 1], at_ms[some])
        return _gathered(self.items, begins, ends, count, self.padding), waited, lengths

    def _windows(self, random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """For each window: its user, and where in `items` it begins and ends."""
        lengths = np.diff(self.offsets)
        first = random.integers(1, WINDOW + 1, lengths.size)
        counts = np.where(lengths > 0, 1 + -(-np.maximum(lengths - first, 0) // WINDOW), 0)
        users = np.repeat(np.arange(lengths.size), counts)
        number = np.arange(users.size) - np.repeat(np.cumsum(counts) - counts, counts)
        ends = np.minimum(first[users] + number * WINDOW, lengths[users])
        begins = np.maximum(first[users] + (number - 1) * WINDOW, 0)
        return users, begins + self.offsets[users], ends + self.offsets[users]

    def _batch(self, users: NDArray[np.int64], begins: NDArray[np.int64], ends: NDArray[np.int64]) -> Batch:
        width = int((ends - begins).max())
        targets = _gathered(self.items, begins, ends, width, self.padding)
        waited = _gathered(self._waits, begins, ends, width, 0)
        waited[:, 0] = 0
        return Batch(users, targets[:, :-1], targets, waited)


def _gathered(
    values: NDArray[np.int64], begins: NDArray[np.int64], ends: NDArray[np.int64], width: int, padding: int
) -> NDArray[np.int64]:
    """(B, width) of values[begins] and on, `padding` from `ends` on."""
    places = begins[:, None] + np.arange(width)
    return np.where(places < ends[:, None], values[np.minimum(places, values.size - 1)], padding)
