"""What must not be proposed to this user now, and why: one code per catalog row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.user import UserState
from services.retrieval.catalog import Catalog, Rows

REASONS = ("", "category", "seen", "hidden", "excluded", "deleted")
"""By code; 0 is free. Where several hold, the later one is told."""

_CATEGORY, _SEEN, _HIDDEN, _EXCLUDED, _DELETED = range(1, len(REASONS))


def blocked(
    catalog: Catalog, user: UserState, exclude: NDArray[np.uint64], genres: Sequence[str] | None
) -> NDArray[np.uint8]:
    """(U,) code of the reason against each row. `genres` in the catalog's spelling; None asks for all."""
    codes = np.zeros(catalog.ids.size, np.uint8)
    if genres is not None:
        codes[~catalog.in_genres(genres)] = _CATEGORY
    codes[catalog.known_rows(user.seen)] = _SEEN
    codes[catalog.known_rows(user.history)] = _SEEN
    codes[catalog.known_rows(user.hidden)] = _HIDDEN
    codes[catalog.known_rows(exclude)] = _EXCLUDED
    codes[~catalog.alive] = _DELETED
    return codes


def by_reason(catalog: Catalog, codes: NDArray[np.uint8], removed: Iterable[Rows]) -> Mapping[str, NDArray[np.uint64]]:
    """Ids that filters took out of the sources' proposals, by reason; each id once."""
    rows = np.unique(np.concatenate([np.empty(0, np.int64), *removed]))
    reasons = codes[rows]
    return {REASONS[code]: catalog.ids[rows[reasons == code]] for code in np.unique(reasons).tolist()}
