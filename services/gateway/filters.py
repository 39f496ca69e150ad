"""The last word on what may be shown, whoever proposed it: every path of every answer passes here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from models.user import UserState
from services.gateway.catalog import Catalog
from services.gateway.nouns import Ask, Candidates, Removed


class Filters:
    """Takes out what is hidden, seen, excluded or deleted, and says which was which."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def __call__(self, ask: Ask, user: UserState, found: Candidates) -> Candidates:
        """The candidates that may be shown, in their order; the others are added to `removed`.

        A list the caller brought keeps items nobody knows; candidates from elsewhere are deleted when the catalog
        does not have them.
        """
        blocked, numbers = _blocked(ask, user), found.ids.tolist()
        known = self._catalog.known(found.ids)
        if known.all() and blocked.keys().isdisjoint(numbers):
            return found
        reasons = [blocked.get(number) for number in numbers]
        for row in np.flatnonzero(~known).tolist():
            if ask.listed is None or self._catalog.is_deleted(numbers[row]):
                reasons[row] = "deleted"
        keep = np.array([row for row, reason in enumerate(reasons) if reason is None], np.intp)
        return found.take(keep, tuple(_grouped(found, reasons)))

    def allowed(self, ask: Ask, user: UserState, numbers: Iterable[int]) -> Iterator[int]:
        """Of existing items in some order, those that may be shown: the source of every fallback."""
        blocked = _blocked(ask, user)
        candidates = (number for number in numbers if number not in blocked)
        return self._catalog.with_categories(candidates, ask.categories)


def _blocked(ask: Ask, user: UserState) -> dict[int, str]:
    blocked = {} if ask.seen_too else dict.fromkeys(user.seen.tolist(), "seen")
    blocked |= dict.fromkeys(user.hidden.tolist(), "hidden")
    blocked |= dict.fromkeys(ask.exclude, "excluded")
    return blocked


def _grouped(found: Candidates, reasons: list[str | None]) -> Iterator[Removed]:
    for reason in sorted({reason for reason in reasons if reason is not None}):
        rows = [row for row, given in enumerate(reasons) if given == reason]
        yield Removed(reason, found.ids[rows])
