"""The catalog as columns: one row per item, gathered by id in one NumPy call."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

ITEM_COLUMNS = (
    "year",
    "created_days",
    "event_count",
    "recent_count",
    "like_rate",
    "mean_value",
    "last_seen_days",
)
"""Numeric item features, in column order.

year: release year. created_days, last_seen_days: days since 1970. event_count: events ever. recent_count:
events decayed with the half-life of the feature definitions, as of last_seen_days. like_rate: smoothed share
of likes, 0..1. mean_value: smoothed mean value of the events (ratings: 1..5). NaN marks the unknown.
"""


@dataclass(frozen=True, slots=True)
class ItemRows:
    """N items as parallel columns; the unit in which items travel between rooms."""

    ids: NDArray[np.uint64]
    """(N,)"""
    item_ids: Sequence[str]
    """The ids as the outside world spells them."""
    titles: Sequence[str]
    genres: Sequence[tuple[str, ...]]
    creators: Sequence[tuple[str, ...]]
    features: NDArray[np.float32]
    """(N, len(ITEM_COLUMNS))"""

    def __len__(self) -> int:
        return int(self.ids.size)

    @classmethod
    def empty(cls) -> Self:
        return cls(np.empty(0, np.uint64), (), (), (), (), np.empty((0, len(ITEM_COLUMNS)), np.float32))


class ItemTable:
    """An immutable catalog of N items sorted by id. Lookups of unknown ids keep their place.

        table = ItemTable(rows)
        rows = table.rows_of(ids)        # (K,) int64, -1 where unknown
        year = table.column("year")[rows]  # mask the -1 yourself, or:
        features = table.gather(ids)     # (K, C) float32, NaN rows where unknown

    `updated` returns a new table; readers holding the old one are never disturbed. `version` grows by one with each.
    """

    def __init__(self, rows: ItemRows, version: int = 0) -> None:
        order = np.argsort(rows.ids, kind="stable")
        positions: list[int] = order.tolist()
        self.ids: NDArray[np.uint64] = rows.ids[order]
        if self.ids.size > 1 and bool((self.ids[1:] == self.ids[:-1]).any()):
            raise ValueError("An item table needs distinct ids; the same id came twice.")
        if rows.features.shape != (len(rows), len(ITEM_COLUMNS)):
            raise ValueError(
                f"Item features must have shape ({len(rows)}, {len(ITEM_COLUMNS)}), got {rows.features.shape}."
            )
        self.item_ids = [rows.item_ids[i] for i in positions]
        self.titles = [rows.titles[i] for i in positions]
        self.genres = [rows.genres[i] for i in positions]
        self.creators = [rows.creators[i] for i in positions]
        self.features: NDArray[np.float32] = np.ascontiguousarray(rows.features[order], np.float32)
        self.genre_names: tuple[str, ...] = tuple(sorted({g for genres in self.genres for g in genres}))
        position = {name: i for i, name in enumerate(self.genre_names)}
        self.genre_hot: NDArray[np.float32] = np.zeros((len(self.ids), len(self.genre_names)), np.float32)
        for row, genres in enumerate(self.genres):
            self.genre_hot[row, [position[g] for g in genres]] = 1.0
        self.version = version

    def __len__(self) -> int:
        return int(self.ids.size)

    def rows_of(self, ids: NDArray[np.uint64]) -> NDArray[np.int64]:
        """(K,) row of each id, -1 where the table does not have it."""
        if self.ids.size == 0:
            return np.full(ids.shape, -1, np.int64)
        rows = np.minimum(np.searchsorted(self.ids, ids), self.ids.size - 1)
        return np.where(self.ids[rows] == ids, rows, -1)

    def gather(self, ids: NDArray[np.uint64]) -> NDArray[np.float32]:
        """(K, len(ITEM_COLUMNS)) features by id; a row of NaN where the item is unknown."""
        rows = self.rows_of(ids)
        features = np.full((ids.size, self.features.shape[1]), np.nan, np.float32)
        known = rows >= 0
        features[known] = self.features[rows[known]]
        return features

    def column(self, name: str) -> NDArray[np.float32]:
        """(N,) one numeric feature of every item, by its name in ITEM_COLUMNS."""
        return self.features[:, ITEM_COLUMNS.index(name)]

    def updated(self, upserts: ItemRows, deleted: NDArray[np.uint64]) -> ItemTable:
        """The table after a change: `upserts` replace or add rows, then `deleted` ids go."""
        if deleted.size == 0 and (counted := self._with_features(upserts)) is not None:
            return counted
        gone = np.union1d(upserts.ids, deleted)
        stay: list[int] = np.flatnonzero(~np.isin(self.ids, gone)).tolist()
        fresh: list[int] = np.flatnonzero(~np.isin(upserts.ids, deleted)).tolist()
        merged = ItemRows(
            ids=np.concatenate([self.ids[stay], upserts.ids[fresh]]),
            item_ids=[self.item_ids[i] for i in stay] + [upserts.item_ids[i] for i in fresh],
            titles=[self.titles[i] for i in stay] + [upserts.titles[i] for i in fresh],
            genres=[self.genres[i] for i in stay] + [upserts.genres[i] for i in fresh],
            creators=[self.creators[i] for i in stay] + [upserts.creators[i] for i in fresh],
            features=np.concatenate([self.features[stay], upserts.features[fresh]]),
        )
        return ItemTable(merged, self.version + 1)

    def _with_features(self, upserts: ItemRows) -> ItemTable | None:
        """The cheap and common change: new counts of known items. None when a title, genre or creator changed."""
        rows = self.rows_of(upserts.ids)
        if bool((rows < 0).any()):
            return None
        for position, row in enumerate(rows.tolist()):
            if (
                self.titles[row] != upserts.titles[position]
                or self.genres[row] != upserts.genres[position]
                or self.creators[row] != upserts.creators[position]
            ):
                return None
        table = copy.copy(self)
        table.features = self.features.copy()
        table.features[rows] = upserts.features
        table.version = self.version + 1
        return table
