"""Items like one item: what people went to from it, fused with what lies near it; by genre when it is too new."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.user import UserState
from services.retrieval.candidates import Candidates
from services.retrieval.listing import listed
from services.retrieval.merge import merge
from services.retrieval.query import Query, vector_scores
from services.retrieval.retriever import NO_IDS, Retriever
from services.retrieval.sources.source import best
from services.runtime.errors import NotFound


def similar(
    retriever: Retriever, item: int, n: int, exclude: NDArray[np.uint64] = NO_IDS, categories: Sequence[str] = ()
) -> Candidates:
    """Up to n items like `item`, best first, of these genres if any are named.

    NotFound when neither the models nor the catalog know the item.
    """
    query = retriever.query(UserState(0), np.append(exclude, np.uint64(item)), categories, 0)
    row = int(retriever.catalog.rows_of(np.array([item], np.uint64))[0])
    if row < 0:
        raise NotFound("No source knows this item.", field="item_id")
    moves, nearness = _moves(query, item), _nearness(query, row)
    by_source = {"two_tower": nearness, "co_visitation": moves}
    proposals = [best(np.where(query.free, scores, np.float32(0)), n) for scores in by_source.values()]
    if not any(proposal.size for proposal in proposals):
        by_source = {"genres": _genre_likeness(query, row)}
        proposals = [best(np.where(query.free, scores, np.float32(0)), n) for scores in by_source.values()]
    quotas = [n // 4] * len(proposals)
    merged = merge(proposals, [1.0] * len(proposals), quotas, n, retriever.config.rank_offset)
    columns = {"two_tower": nearness, "co_visitation": moves, "popularity": query.popularity}
    return listed(query, merged, columns, tuple(by_source), proposals)


def _moves(query: Query, item: int) -> NDArray[np.float32]:
    """(U,) transitions from the item."""
    return query.catalog.alignments[1].spread(query.models.co_visitation.transitions(item))


def _nearness(query: Query, row: int) -> NDArray[np.float32]:
    """(U,) cosines with the item's vector."""
    tower, alignment = query.models.tower, query.catalog.alignments[0]
    place = int(alignment.places[row])
    if place < 0:
        return np.full(query.catalog.ids.size, np.nan, np.float32)
    return vector_scores(tower, alignment, tower.item_vectors[[place]], np.arange(query.catalog.ids.size))


def _genre_likeness(query: Query, row: int) -> NDArray[np.float32]:
    """(U,) cosines of genres, popularity deciding between equals."""
    catalog = query.catalog
    genres = catalog.items.genre_hot / np.maximum(np.linalg.norm(catalog.items.genre_hot, axis=1, keepdims=True), 1)
    likeness = np.zeros(catalog.ids.size, np.float32)
    if catalog.alive[row]:
        likeness[catalog.alive] = (genres @ genres[catalog.table_rows[row]])[catalog.table_rows[catalog.alive]]
    popularity = np.nan_to_num(query.popularity)
    return likeness * (1 + 1e-3 * popularity / max(float(popularity.max(initial=0)), 1e-9)).astype(np.float32)
