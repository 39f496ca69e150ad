"""What the gateway can propose by itself, from its own table of items."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import numpy as np

from models.user import UserState
from services.gateway.catalog import Catalog
from services.gateway.filters import Filters
from services.gateway.nouns import Ask, Candidates


class Fallbacks:
    """Candidates without retrieval. Every one may be shown: the filters are applied while picking, so lists fill up."""

    def __init__(self, catalog: Catalog, filters: Filters) -> None:
        self.catalog = catalog
        self._filters = filters

    def popular(self, ask: Ask, user: UserState, n: int) -> Candidates:
        """The n most popular items."""
        return self._first(ask, user, self.catalog.popular(), n, "popularity")

    def latest(self, ask: Ask, user: UserState, n: int) -> Candidates:
        """The n newest items."""
        return self._first(ask, user, self.catalog.latest(), n, "fresh")

    def similar(self, ask: Ask, user: UserState, genres: Iterable[str], n: int) -> Candidates:
        """The n most popular items that share a genre."""
        numbers = self.catalog.with_categories(self.catalog.popular(), genres)
        return self._first(ask, user, numbers, n, "popularity")

    def _first(self, ask: Ask, user: UserState, numbers: Iterable[int], n: int, source: str) -> Candidates:
        picked = list(islice(self._filters.allowed(ask, user, numbers), n))
        return Candidates.of_ids(np.array(picked, np.uint64), source)
