"""Lists that need no user: the popular and the latest, and how a merged list becomes candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.spec import RETRIEVAL_COLUMNS
from models.user import UserState
from services.retrieval.candidates import Candidates, SourceReport
from services.retrieval.catalog import Rows
from services.retrieval.merge import Merged
from services.retrieval.query import Query
from services.retrieval.retriever import NO_IDS, Retriever
from services.retrieval.sources.source import best_free


def popular(retriever: Retriever, n: int, profile: Mapping[str, str], categories: Sequence[str] = ()) -> Candidates:
    """The n most popular items, overall or of the segment a profile falls into."""
    query = retriever.query(UserState(0, profile=profile), NO_IDS, categories, 0)
    rows = best_free(query.segment_popularity, query, n).rows
    columns = {"popularity": query.popularity, "segment_popularity": query.segment_popularity}
    return listed(query, _alone(rows), columns, ("popularity",), (rows,))


def latest(retriever: Retriever, n: int, categories: Sequence[str] = ()) -> Candidates:
    """The n newest items, newest first; those without a creation time come last."""
    query = retriever.query(UserState(0), NO_IDS, categories, 0)
    newest = retriever.catalog.newest_first()
    rows = newest[query.free[newest]][:n]
    return listed(query, _alone(rows), {"popularity": query.popularity}, ("fresh",), (rows,))


def listed(
    query: Query,
    merged: Merged,
    columns: Mapping[str, NDArray[np.float32]],
    sources: Sequence[str],
    proposals: Sequence[Rows],
) -> Candidates:
    """A merged list as candidates; of `columns`, (U,) each, those not given are NaN."""
    scores = np.full((merged.rows.size, len(RETRIEVAL_COLUMNS)), np.nan, np.float32)
    for name, values in columns.items():
        scores[:, RETRIEVAL_COLUMNS.index(name)] = values[merged.rows]
    reports = tuple(
        SourceReport(name, proposal.size, int(np.count_nonzero(merged.proposed_by & np.uint32(1 << place))), 0.0)
        for place, (name, proposal) in enumerate(zip(sources, proposals, strict=True))
    )
    because = np.zeros(merged.rows.size, np.uint64)
    return Candidates(query.catalog.ids[merged.rows], scores, merged.proposed_by, because, reports)


def _alone(rows: Rows) -> Merged:
    return Merged(rows, np.ones(rows.size, np.uint32))
