"""Qdrant's engine in this process: edge:///path."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import qdrant_edge as edge
from numpy.typing import NDArray

from services.retrieval.text.bm25 import Sparse
from services.retrieval.text.store import GENRES_FIELD, SENTENCE, TERMS, YEAR_FIELD, Entry, Nearest, Where
from services.runtime.errors import SettingsError

_SCAN_BELOW_KIB = 1 << 30
"""No graph is built: a filtered scan of some thousand vectors takes a millisecond and misses nothing."""


class EdgeTextStore:
    """A shard made anew at every start, in a folder that belongs to one process."""

    def __init__(self, folder: Path, dimensions: int) -> None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder)
        shutil.rmtree(folder, ignore_errors=True)
        config = edge.EdgeConfig(
            vectors={SENTENCE: edge.EdgeVectorParams(dimensions, edge.Distance.Dot)},
            sparse_vectors={TERMS: edge.EdgeSparseVectorParams()},
            optimizers=edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=_SCAN_BELOW_KIB),
            wal_enabled=False,
        )
        self._shard = edge.EdgeShard.create(str(folder), config)
        years = edge.IntegerIndexParams(lookup=False, range=True)
        self._shard.update(edge.UpdateOperation.create_field_index(GENRES_FIELD, edge.KeywordIndexParams()))
        self._shard.update(edge.UpdateOperation.create_field_index(YEAR_FIELD, years))

    def ensure(self) -> None:
        """Nothing to make: the shard is this process's own."""

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Adds or replaces points."""
        points = [
            edge.Point(
                entry.id,
                {SENTENCE: entry.sentence.tolist(), TERMS: edge.SparseVector(*entry.terms)},
                {GENRES_FIELD: list(entry.genres), YEAR_FIELD: entry.year},
            )
            for entry in entries
        ]
        self._shard.update(edge.UpdateOperation.upsert_points(points))

    def delete(self, ids: Collection[int]) -> None:
        """Removes points."""
        self._shard.update(edge.UpdateOperation.delete_points(list(ids)))

    def keep_only(self, ids: Collection[int]) -> None:
        """Removes every point but these."""
        others = edge.Filter(must_not=[edge.HasIdCondition(set(ids))])
        self._shard.update(edge.UpdateOperation.delete_points_by_filter(others))

    def search(self, sentence: NDArray[np.float32] | None, terms: Sparse, n: int, where: Where) -> Nearest:
        """The n best by each vector, from one batch."""
        wanted = _filter(where)
        queries: dict[str, edge.Query] = {}
        if sentence is not None:
            queries[SENTENCE] = edge.Query.Nearest(sentence.tolist(), using=SENTENCE)
        if terms.indices:
            queries[TERMS] = edge.Query.Nearest(edge.SparseVector(*terms), using=TERMS)
        requests = [edge.QueryRequest(limit=n, query=query, filter=wanted) for query in queries.values()]
        answers = self._shard.query_batch(edge.QueryBatchRequest(requests)) if requests else []
        found = dict(zip(queries, answers, strict=True))
        return Nearest(_ids(found.get(SENTENCE, [])), _ids(found.get(TERMS, [])))

    def count(self) -> int:
        """Number of points."""
        return int(self._shard.count(edge.CountRequest(exact=True)))

    def close(self) -> None:
        """Lets go of the folder, which the next process makes anew."""
        self._shard.close()
        os.close(self._lock)


def _locked(folder: Path) -> int:
    lock = os.open(folder.with_name(folder.name + ".lock"), os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise SettingsError(
            f"The text index {folder} is in use by another process: name another folder.", field="text_index_url"
        ) from error
    return lock


def _ids(points: Sequence[edge.ScoredPoint]) -> NDArray[np.uint64]:
    return np.fromiter((point.id for point in points), np.uint64, len(points))


def _filter(where: Where) -> edge.Filter | None:
    must: list[edge.ConditionType] = [
        edge.FieldCondition(GENRES_FIELD, match=edge.MatchValue(genre)) for genre in where.genres
    ]
    if where.any_genres:
        must.append(edge.FieldCondition(GENRES_FIELD, match=edge.MatchAny(list(where.any_genres))))
    if where.year_from is not None or where.year_to is not None:
        must.append(edge.FieldCondition(YEAR_FIELD, range=edge.RangeFloat(gte=where.year_from, lte=where.year_to)))
    must_not: list[edge.ConditionType] = []
    if where.not_genres:
        must_not.append(edge.FieldCondition(GENRES_FIELD, match=edge.MatchAny(list(where.not_genres))))
    for first, last in where.not_years:
        must_not.append(edge.FieldCondition(YEAR_FIELD, range=edge.RangeFloat(gte=first, lte=last)))
    if where.exclude:
        must_not.append(edge.HasIdCondition(set(where.exclude)))
    return edge.Filter(must=must, must_not=must_not) if must or must_not else None
