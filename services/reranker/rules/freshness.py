"""A place on the slate for something new, when it is good enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from services.reranker.pool import Places, Pool
from services.reranker.rules.outcome import Outcome


def is_fresh(pool: Pool, now_days: float, max_age_days: float, max_events: float) -> NDArray[np.bool_]:
    """(N,) which candidates were created lately and are still little watched; the unknown are not fresh."""
    young = now_days - pool.column("created_days") <= max_age_days
    fresh: NDArray[np.bool_] = young & (np.nan_to_num(pool.column("event_count")) <= max_events)
    return fresh


def freshness(
    order: Places,
    n: int,
    fresh: NDArray[np.bool_],
    fits: Callable[[Sequence[int], int], bool],
    *,
    at_least: int,
    reach: int,
) -> Outcome:
    """Brings the best fresh candidates up until `at_least` are among the first n.

    Good enough is a candidate among the first `reach` of the order that the caps allow. The last item that is not fresh
    leaves for it. It comes in last but one: the very last place is the one exploration may take.
    """
    slate: list[int] = order[:n].tolist()
    wanted = min(at_least, n) - int(np.count_nonzero(fresh[order[:n]]))
    displaced: list[int] = []
    for place in (candidate for candidate in order[n:reach].tolist() if fresh[candidate]):
        if wanted <= 0:
            break
        last = max(at for at, item in enumerate(slate) if not fresh[item])
        if fits(slate[:last] + slate[last + 1 :], place):
            displaced.append(slate.pop(last))
            slate.insert(max(len(slate) - 1, 0), place)
            wanted -= 1
    rest = order[n:][~np.isin(order[n:], slate)]
    removed = {"gave its place to a fresh item": np.array(displaced, np.int64)} if displaced else {}
    return Outcome(np.concatenate([np.array(slate, np.int64), rest]), removed)
