"""Items for a search: those that words find, those like others, or, when only filters were said, the popular ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.items import ItemTable
from services.retrieval.retriever import Retriever
from services.retrieval.similar import similar
from services.retrieval.text import Where
from services.retrieval.text.fusion import reciprocal_rank
from services.runtime.errors import NotFound

DEPTH = 200
"""Items that each ranking brings to the fusion."""

Ids = NDArray[np.uint64]


def search(retriever: Retriever, items: ItemTable, words: Ids | None, like: Sequence[int], where: Where, n: int) -> Ids:
    """(K,) at most n ids, best first. `words` is what the text index found; None when there was no text to look for."""
    mask = permitted(items, where)
    rankings = [] if words is None else [words]
    for item in like:
        found = _like(retriever, item)
        rows = items.rows_of(found)
        rankings.append(found[(rows >= 0) & mask[rows]])
    if not rankings:
        rankings.append(_popular(items, mask))
    return reciprocal_rank(rankings, n)[0]


def permitted(items: ItemTable, where: Where) -> NDArray[np.bool_]:
    """(N,) True for the items of the table that the filters let through."""
    years = items.column("year")
    wanted = [_has(items, [genre]) for genre in where.genres]
    wanted += [_has(items, where.any_genres)] if where.any_genres else []
    wanted += [~_has(items, where.not_genres)]
    wanted += [] if where.year_from is None else [years >= where.year_from]
    wanted += [] if where.year_to is None else [years <= where.year_to]
    wanted += [~((years >= first) & (years <= last)) for first, last in where.not_years]
    return np.asarray(np.stack(wanted).all(axis=0))


def _has(items: ItemTable, genres: Sequence[str]) -> NDArray[np.bool_]:
    columns = [place for place, name in enumerate(items.genre_names) if name in genres]
    return np.asarray(items.genre_hot[:, columns].any(axis=1))


def _like(retriever: Retriever, item: int) -> Ids:
    try:
        return similar(retriever, item, DEPTH).ids
    except NotFound:
        return np.empty(0, np.uint64)


def _popular(items: ItemTable, mask: NDArray[np.bool_]) -> Ids:
    rows = np.flatnonzero(mask)
    counts = np.nan_to_num(items.column("event_count")[rows])
    return items.ids[rows[np.argsort(-counts, kind="stable")[:DEPTH]]]
