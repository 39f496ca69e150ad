"""Candidates for a user: sources propose, filters take out, one list comes back. Pure: no wire, no clock, no settings.

    with open_retriever(folder, items, scratch) as retriever:      # loading.py
        candidates = retriever.retrieve(user, 500)

The service and the trainer build the same one, so a ranker learns from the candidates it will be served.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.items import ItemTable
from models.user import UserState
from services.retrieval.candidates import Candidates, SourceReport
from services.retrieval.catalog import Catalog, Rows
from services.retrieval.config import RetrievalConfig
from services.retrieval.filters import blocked, by_reason
from services.retrieval.index.protocol import VectorIndex
from services.retrieval.merge import Merged, merge
from services.retrieval.query import Query, RetrievalModels, looking_at
from services.retrieval.sources.because_you_watched import BecauseYouWatched
from services.retrieval.sources.co_visitation import CoVisitationSource
from services.retrieval.sources.creators import Creators
from services.retrieval.sources.ease import EaseSource
from services.retrieval.sources.fresh import Fresh
from services.retrieval.sources.popularity import PopularitySource
from services.retrieval.sources.source import NO_ROWS, Proposal, Source
from services.retrieval.sources.two_tower import TwoTower
from services.runtime.logs import get_logger
from services.runtime.tracing import CLIENT, INTERNAL, Attributes, part

log = get_logger("retrieval")

QDRANT: Attributes = {"db.system.name": "qdrant", "db.operation.name": "query", "peer.service": "qdrant"}
"""What a trace says of a source that asks a vector index in another process."""
NO_IDS: NDArray[np.uint64] = np.empty(0, np.uint64)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What came of asking one source."""

    proposal: Proposal
    milliseconds: float
    error: str = ""


class Retriever:
    """Models, index and item table of one moment. Immutable; `updated` gives the next one."""

    def __init__(
        self,
        models: RetrievalModels,
        index: VectorIndex,
        items: ItemTable,
        config: RetrievalConfig | None = None,
        catalog: Catalog | None = None,
    ) -> None:
        self.models = models
        self.index = index
        self.config = config or RetrievalConfig()
        self.catalog = catalog or Catalog(items, models.ids)
        self.sources: tuple[Source, ...] = (
            TwoTower(index),
            CoVisitationSource(),
            EaseSource(),
            BecauseYouWatched(index, self.catalog.ids.size),
            Creators(self.catalog),
            PopularitySource(),
            Fresh(self.catalog, self.config.fresh_pool, self.config.fresh_events),
        )

    def updated(self, items: ItemTable) -> Retriever:
        """The same models over a newer item table."""
        return Retriever(self.models, self.index, items, self.config, self.catalog.with_items(items))

    def retrieve(
        self,
        user: UserState,
        n: int,
        exclude: NDArray[np.uint64] = NO_IDS,
        categories: Sequence[str] = (),
        context_item: int = 0,
    ) -> Candidates:
        """Up to n candidates, best first: n whenever the catalog has that many the filters allow.

        `context_item` is the item being looked at: it counts as the newest event and is not proposed. A source that
        fails contributes nothing and its report says why.
        """
        query = self.query(user, exclude, categories, context_item)
        return self._merged(query, n, [_asked(source, query, self._depth(source, n)) for source in self.sources])

    async def retrieve_within(
        self,
        user: UserState,
        n: int,
        exclude: NDArray[np.uint64] = NO_IDS,
        categories: Sequence[str] = (),
        context_item: int = 0,
        *,
        deadline_s: float,
    ) -> Candidates:
        """The same, while waiting for a remote index; a source past the deadline counts as failed.

        Only sources that wait for another process get a thread: the others hold the interpreter anyway.
        """
        query = self.query(user, exclude, categories, context_item)
        attempts = await asyncio.gather(
            *(_asked_within(source, query, self._depth(source, n), deadline_s) for source in self.sources)
        )
        return self._merged(query, n, attempts)

    def score(self, user: UserState, ids: NDArray[np.uint64]) -> Candidates:
        """The scores of a given list, same order and length; a row of NaN for an item nobody knows."""
        query = self.query(user, NO_IDS, (), 0)
        rows = self.catalog.rows_of(ids)
        known = rows >= 0
        columns = query.columns(rows[known])
        scores = np.full((ids.size, columns.shape[1]), np.nan, np.float32)
        scores[known] = columns
        because = np.zeros(ids.size, np.uint64)
        because[known] = query.because[rows[known]]
        return Candidates(ids, scores, np.zeros(ids.size, np.uint32), because)

    def query(
        self, user: UserState, exclude: NDArray[np.uint64], categories: Sequence[str], context_item: int
    ) -> Query:
        """A request as the sources see it."""
        genres = self.catalog.genres_named(categories) if len(categories) else None
        if context_item:
            exclude = np.append(exclude, np.uint64(context_item))
        codes = blocked(self.catalog, user, exclude, genres)
        return Query(looking_at(user, context_item) if context_item else user, self.models, self.catalog, codes, genres)

    def _depth(self, source: Source, n: int) -> int:
        return max(1, math.ceil(self.config.shares[source.name].depth * n))

    def _merged(self, query: Query, n: int, attempts: Sequence[_Attempt]) -> Candidates:
        shares = [self.config.shares[source.name] for source in self.sources]
        cold = query.user.is_cold
        merged = merge(
            [attempt.proposal.rows for attempt in attempts],
            [share.cold_weight if cold else share.weight for share in shares],
            [int(share.quota * n) for share in shares],
            n,
            self.config.rank_offset,
        )
        filled = _filled(query, merged, n)
        reports = tuple(
            SourceReport(
                source.name,
                proposed=attempt.proposal.rows.size + attempt.proposal.removed.size,
                kept=int(np.count_nonzero(filled.proposed_by & np.uint32(1 << place))),
                milliseconds=attempt.milliseconds,
                error=attempt.error,
            )
            for place, (source, attempt) in enumerate(zip(self.sources, attempts, strict=True))
        )
        removed = by_reason(self.catalog, query.codes, (attempt.proposal.removed for attempt in attempts))
        return Candidates(
            self.catalog.ids[filled.rows],
            query.columns(filled.rows),
            filled.proposed_by,
            query.because[filled.rows],
            reports,
            removed,
        )


def _asked(source: Source, query: Query, k: int) -> _Attempt:
    started = time.perf_counter()
    attributes, kind = (QDRANT, CLIENT) if source.remote else (None, INTERNAL)
    with part(f"source {source.name}", attributes, kind) as span:
        # The boundary between the list and its sources: whatever one of them throws, the others still answer.
        try:
            proposal, error = source.propose(query, k), ""
        except Exception as failure:
            log.warning("a source failed", source=source.name, exc_info=True)
            proposal, error = Proposal(NO_ROWS, NO_ROWS), f"{type(failure).__name__}: {failure}"
            span.fail(type(failure).__name__)
    return _Attempt(proposal, (time.perf_counter() - started) * 1000, error)


async def _asked_within(source: Source, query: Query, k: int, deadline_s: float) -> _Attempt:
    if not source.remote:
        return _asked(source, query, k)
    try:
        return await asyncio.wait_for(asyncio.to_thread(_asked, source, query, k), deadline_s)
    except TimeoutError:
        error = f"no answer within {deadline_s * 1000:g} ms"
        return _Attempt(Proposal(NO_ROWS, NO_ROWS), deadline_s * 1000, error)


def _filled(query: Query, merged: Merged, n: int) -> Merged:
    """The list made up to n with the most popular, then the newest, of what is left. Those bear no source's bit."""
    missing = n - merged.rows.size
    if missing <= 0:
        return merged
    left: Rows = np.setdiff1d(np.flatnonzero(query.free), merged.rows, assume_unique=True)
    liked = np.nan_to_num(query.segment_popularity[left], nan=-1.0)
    created = np.nan_to_num(query.catalog.column("created_days")[left], nan=-np.inf)
    rows = left[np.lexsort((left, -created, -liked))][:missing]
    return Merged(
        np.concatenate([merged.rows, rows]), np.concatenate([merged.proposed_by, np.zeros(rows.size, np.uint32)])
    )
