"""The catalog as the gateway knows it: the feed from features, and on top of it what was put or deleted just now."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from models.items import ITEM_COLUMNS, ItemTable
from services.runtime.itemfeed import ItemFeed

PENDING_ITEMS = 10_000
"""Puts and deletions remembered until the feed shows them."""
DELETED_ITEMS = 100_000
"""Deleted items remembered, to tell them from items that never were."""
HALF_LIFE_DAYS = 30.0
"""Decay of recent_count, as in the feature definitions."""
ORDER_SECONDS = 10.0
"""How long an order by popularity is good for."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Item:
    """An item as REST shows it."""

    item_id: str
    title: str
    year: int | None = None
    genres: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    created_at: datetime | None = None


class Catalog:
    """Answers at once for what this gateway accepted, and within a second for what others did."""

    def __init__(self, feed: ItemFeed) -> None:
        self._feed = feed
        self._put: LRUCache[int, Item] = LRUCache(PENDING_ITEMS)
        self._deleting: LRUCache[int, None] = LRUCache(PENDING_ITEMS)
        self._deleted: LRUCache[int, None] = LRUCache(DELETED_ITEMS)
        self._orders: dict[str, tuple[float, NDArray[np.uint64]]] = {}
        self._ids = feed.table.ids
        feed.on_change(self._follow)

    @property
    def table(self) -> ItemTable:
        """The feed's present table."""
        return self._feed.table

    def put(self, number: int, item: Item) -> None:
        """The event log has this item; the feed will show it."""
        self._put[number] = item
        self._deleting.pop(number, None)
        self._deleted.pop(number, None)

    def delete(self, number: int) -> None:
        """The event log has this deletion; from now on the item is gone."""
        self._put.pop(number, None)
        self._deleting[number] = None
        self._deleted[number] = None

    def item(self, number: int) -> Item | None:
        """The item, or None when there is none."""
        if number in self._put:
            return self._put[number]
        row = self._row_of(number)
        return None if row is None or number in self._deleted else self._item_at(row)

    def known(self, ids: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """(N,) True where the item exists."""
        known = self.table.rows_of(ids) >= 0
        for row, number in self._exceptions(ids, known):
            known[row] = number in self._put
        return known

    def is_deleted(self, number: int) -> bool:
        """True for an item that was there and is gone."""
        return number in self._deleted

    def pending_deletions(self) -> list[int]:
        """Items deleted here that the feed, and so perhaps the peers, still show."""
        return list(self._deleting)

    def names_of(self, ids: NDArray[np.uint64]) -> list[tuple[str, str] | None]:
        """(N,) external id and title of each item, None where it is unknown."""
        table, names = self.table, list[tuple[str, str] | None]()
        for number, row in zip(ids.tolist(), table.rows_of(ids).tolist(), strict=True):
            put = self._put.get(number)
            if put is not None:
                names.append((put.item_id, put.title))
            else:
                names.append((table.item_ids[row], table.titles[row]) if row >= 0 else None)
        return names

    def kinds_of(self, ids: NDArray[np.uint64]) -> list[tuple[int | None, tuple[str, ...]]]:
        """(N,) year and genres of each item; None and () where unknown."""
        table, kinds = self.table, list[tuple[int | None, tuple[str, ...]]]()
        rows = table.rows_of(ids)
        years: list[float] = table.column("year")[rows].tolist() if len(table) else [float("nan")] * ids.size
        for number, row, year in zip(ids.tolist(), rows.tolist(), years, strict=True):
            put = self._put.get(number)
            if put is not None:
                kinds.append((put.year, put.genres))
            else:
                kinds.append((int(year) if year == year else None, table.genres[row]) if row >= 0 else (None, ()))
        return kinds

    def statistics(self, number: int) -> dict[str, float]:
        """What the events say of an item: numbers by name, without the unknown ones."""
        row = self._row_of(number)
        if row is None:
            return {}
        values = zip(ITEM_COLUMNS, self.table.features[row].tolist(), strict=True)
        return {name: value for name, value in values if value == value and name not in ("year", "created_days")}

    def popular(self) -> Iterator[int]:
        """Every item, by events decayed over time, most popular first."""
        return self._existing(self._order("popular"))

    def latest(self) -> Iterator[int]:
        """Every item, newest first."""
        return self._existing(self._order("latest"))

    def with_categories(self, ids: Iterable[int], categories: Iterable[str]) -> Iterator[int]:
        """Of these items, in their order, those with at least one of the genres; all when no genre is named."""
        wanted = set(categories)
        if not wanted:
            yield from ids
            return
        for number in ids:
            row = self._row_of(number)
            if row is not None and wanted.intersection(self.table.genres[row]):
                yield number

    def _existing(self, order: NDArray[np.uint64]) -> Iterator[int]:
        for start in range(0, order.size, 1000):
            chunk = order[start : start + 1000]
            yield from chunk[self.known(chunk)].tolist()

    def _order(self, name: str) -> NDArray[np.uint64]:
        table = self.table
        made_at, order = self._orders.get(name, (-np.inf, table.ids))
        if order.size != table.ids.size or time.monotonic() - made_at >= ORDER_SECONDS:
            weight = _popularity(table) if name == "popular" else table.column("created_days")
            # NaN sorts last in an ascending order, and so do the unknown here.
            order = table.ids[np.argsort(-weight, kind="stable")]
            self._orders[name] = (time.monotonic(), order)
        return order

    def _exceptions(self, ids: NDArray[np.uint64], known: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
        """Rows where the feed's word is not the last one."""
        suspects = ids if self._deleting else ids[~known]
        if suspects.size == 0:
            return
        for row, number in enumerate(ids.tolist()):
            if number in self._deleting or (number in self._put and not known[row]):
                yield row, number

    def _row_of(self, number: int) -> int | None:
        row = int(self.table.rows_of(np.array([number], np.uint64))[0])
        return row if row >= 0 else None

    def _item_at(self, row: int) -> Item:
        table = self.table
        year, created = (float(table.column(name)[row]) for name in ("year", "created_days"))
        return Item(
            item_id=table.item_ids[row],
            title=table.titles[row],
            year=int(year) if year == year else None,
            genres=table.genres[row],
            creators=table.creators[row],
            created_at=_EPOCH + timedelta(days=created) if created == created else None,
        )

    def _follow(self, table: ItemTable) -> None:
        """What the feed shows by now need not be remembered here."""
        for number in [n for n in self._put if self._shows(table, n)]:
            del self._put[number]
        if table.ids is self._ids:
            return
        for number in np.setdiff1d(self._ids, table.ids, assume_unique=True).tolist():
            self._deleted[number] = None
        for number in np.setdiff1d(table.ids, self._ids, assume_unique=True).tolist():
            if number not in self._deleting:
                self._deleted.pop(number, None)
        for number in list(self._deleting):
            if self._row_of(number) is None:
                del self._deleting[number]
        self._ids = table.ids

    def _shows(self, table: ItemTable, number: int) -> bool:
        row = int(table.rows_of(np.array([number], np.uint64))[0])
        put = self._put[number]
        return row >= 0 and (table.titles[row], table.genres[row]) == (put.title, put.genres)


def _popularity(table: ItemTable) -> NDArray[np.float32]:
    """(N,) recent events decayed from each item's last one to the newest of all; total events break ties."""
    last = table.column("last_seen_days")
    newest = np.nanmax(last) if np.isfinite(last).any() else np.float32(0)
    age = np.nan_to_num(newest - last, nan=1000.0)
    recent = np.nan_to_num(table.column("recent_count")) * np.exp2(-age / HALF_LIFE_DAYS)
    total = np.maximum(np.nan_to_num(table.column("event_count")), 0)
    popularity: NDArray[np.float32] = recent + 1e-6 * np.log1p(total)
    return popularity
