"""Every item that a model or the item table knows, on one set of rows that all sources share."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.items import ItemTable

Rows = NDArray[np.int64]


class Alignment:
    """Where the rows of one model are in the catalog's."""

    def __init__(self, catalog_ids: NDArray[np.uint64], model_ids: NDArray[np.uint64]) -> None:
        order = np.argsort(model_ids, kind="stable")
        ordered = model_ids[order]
        spot = np.minimum(np.searchsorted(ordered, catalog_ids), max(ordered.size - 1, 0))
        known = ordered[spot] == catalog_ids if ordered.size else np.zeros(catalog_ids.size, np.bool_)
        self.places: Rows = np.full(catalog_ids.size, -1, np.int64)
        """(U,) the model's row of each catalog row, -1 where the model does not know it."""
        self.places[known] = order[spot[known]]
        self._known = np.flatnonzero(known)
        self._sources = self.places[self._known]

    def spread(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(U,) a model's dense scores on the catalog's rows, NaN where it has none."""
        column = np.full(self.places.size, np.nan, np.float32)
        column[self._known] = values[self._sources]
        return column

    def spread_ids(self, ids: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """(U,) likewise for ids, 0 where there is none."""
        column = np.zeros(self.places.size, np.uint64)
        column[self._known] = ids[self._sources]
        return column


class Catalog:
    """U rows sorted by id: the union of what the models and the item table know.

    An item that only a model knows was deleted since the model was fitted: it is not `alive`, and never proposed.
    """

    def __init__(self, items: ItemTable, model_ids: Sequence[NDArray[np.uint64]]) -> None:
        self.items = items
        self.ids: NDArray[np.uint64] = np.unique(np.concatenate([items.ids, *model_ids]))
        self.alignments = tuple(Alignment(self.ids, ids) for ids in model_ids)
        """One for each entry of model_ids."""
        self.table_rows: Rows = items.rows_of(self.ids)
        """(U,) row in the item table, -1 where deleted."""
        self.alive: NDArray[np.bool_] = self.table_rows >= 0
        """(U,)"""
        self._genres = {name.casefold(): place for place, name in enumerate(items.genre_names)}

    def with_items(self, items: ItemTable) -> Catalog | None:
        """The catalog over a table that differs in numbers only, at no cost; None when it differs in more."""
        if items.ids is not self.items.ids or items.genre_hot is not self.items.genre_hot:
            return None
        catalog = copy.copy(self)
        catalog.items = items
        return catalog

    def rows_of(self, ids: NDArray[np.uint64]) -> Rows:
        """(K,) row of each id, -1 where nobody knows it."""
        if not self.ids.size:
            return np.full(ids.shape, -1, np.int64)
        rows = np.minimum(np.searchsorted(self.ids, ids), self.ids.size - 1)
        return np.where(self.ids[rows] == ids, rows, -1)

    def known_rows(self, ids: NDArray[np.uint64]) -> Rows:
        """Rows of those ids that somebody knows."""
        rows = self.rows_of(ids)
        return rows[rows >= 0]

    def genres_named(self, categories: Sequence[str]) -> list[str]:
        """The catalog's spelling of the genres asked for, whatever their case; unknown names are left out."""
        places = (self._genres.get(name.casefold()) for name in categories)
        return [self.items.genre_names[place] for place in places if place is not None]

    def in_genres(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """(U,) which items have at least one of these genres, in the catalog's spelling."""
        places = [self._genres[name.casefold()] for name in names]
        counts = self.items.genre_hot[:, places].sum(axis=1)
        inside = np.zeros(self.ids.size, np.bool_)
        inside[self.alive] = counts[self.table_rows[self.alive]] > 0
        return inside

    def column(self, name: str) -> NDArray[np.float32]:
        """(U,) one numeric item feature, NaN where deleted or unknown."""
        column = np.full(self.ids.size, np.nan, np.float32)
        column[self.alive] = self.items.column(name)[self.table_rows[self.alive]]
        return column

    def newest_first(self) -> Rows:
        """Live rows by creation time, the unknown last; equals by id."""
        created = np.nan_to_num(self.column("created_days"), nan=-np.inf)
        order = np.lexsort((self.ids, -created))
        return order[self.alive[order]]
