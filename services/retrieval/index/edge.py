"""Qdrant's engine in this process, over a folder: edge:///path."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import qdrant_edge as edge
from numpy.typing import NDArray

from services.retrieval.index.copies import PrivateCopy
from services.retrieval.index.protocol import CATEGORY_FIELD, Hits, breadth
from services.runtime.errors import SettingsError

_BATCH = 10_000
"""Points per update: bounds the memory that Python objects take on the way in."""


class EdgeIndex:
    """A shard without a write-ahead log, so that several processes can open one folder."""

    remote = False

    def __init__(self, shard: edge.EdgeShard, discard: Callable[[], object] | None = None) -> None:
        self._shard = shard
        self._discard = discard

    @classmethod
    def create(cls, folder: Path, dimension: int) -> EdgeIndex:
        """A new shard. The category index exists before any point, so that HNSW links follow it."""
        folder.mkdir(parents=True, exist_ok=True)
        config = edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(dimension, edge.Distance.Dot),
            hnsw_config=edge.HnswIndexConfig(m=16, ef_construct=128, full_scan_threshold=10),
            optimizers=edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=10),
            wal_enabled=False,
        )
        shard = edge.EdgeShard.create(str(folder), config)
        keywords = edge.KeywordIndexParams(enable_hnsw=True)
        shard.update(edge.UpdateOperation.create_field_index(CATEGORY_FIELD, keywords))
        return cls(shard)

    @classmethod
    def open(cls, folder: Path, *, called: Path | None = None) -> EdgeIndex:
        """The shard in `folder`; the engine rewrites its config file there. `called` names it in errors."""
        # The engine knows no exception of its own: whatever load raises means that the shard cannot be used.
        try:
            return cls(edge.EdgeShard.load(str(folder)))
        except Exception as error:
            name = called or folder
            raise SettingsError(f"{name} holds no vector index that can be opened: {error}. Train again.") from error

    @classmethod
    def open_copy(cls, folder: Path, scratch: Path) -> EdgeIndex:
        """A private copy, under `scratch`, of a sealed shard that must not change; it goes when the index goes."""
        if not folder.is_dir():
            raise SettingsError(f"{folder} is missing: the artifact holds no vector index. Train again.")
        copy = PrivateCopy(folder, scratch)
        try:
            index = cls.open(copy.path, called=folder)
        except BaseException:
            copy.discard()
            raise
        index._discard = weakref.finalize(index, copy.discard)
        return index

    def upsert(
        self, ids: NDArray[np.uint64], vectors: NDArray[np.float32], categories: Sequence[Sequence[str]]
    ) -> None:
        """Adds or replaces N points."""
        rows = zip(ids.tolist(), vectors, categories, strict=True)
        points = [edge.Point(item, vector, {CATEGORY_FIELD: list(names)}) for item, vector, names in rows]
        for start in range(0, len(points), _BATCH):
            self._shard.update(edge.UpdateOperation.upsert_points(points[start : start + _BATCH]))

    def delete(self, ids: NDArray[np.uint64]) -> None:
        """Removes points."""
        self._shard.update(edge.UpdateOperation.delete_points(ids.tolist()))

    def search(
        self,
        vector: NDArray[np.float32],
        n: int,
        *,
        ef: int | None = None,
        categories: Sequence[str] = (),
        exclude: NDArray[np.uint64] | None = None,
    ) -> Hits:
        """The n nearest points."""
        return _hits(self._shard.query(_request(vector, n, ef or breadth(n), _filter(categories, exclude), categories)))

    def search_each(
        self,
        vectors: NDArray[np.float32],
        n: int,
        *,
        categories: Sequence[str] = (),
        exclude: NDArray[np.uint64] | None = None,
    ) -> list[Hits]:
        """The n nearest points of each vector, from one batch."""
        wanted = _filter(categories, exclude)
        requests = [_request(vector, n, breadth(n), wanted, categories) for vector in vectors]
        return [_hits(found) for found in self._shard.query_batch(edge.QueryBatchRequest(requests))]

    def count(self) -> int:
        """Number of points."""
        return int(self._shard.count(edge.CountRequest(exact=True)))

    def optimize(self) -> None:
        """Builds the HNSW graph over everything upserted and writes it out; holds the GIL for as long as it takes."""
        self._shard.optimize()
        self._shard.flush()

    def close(self) -> None:
        """Flushes and releases the files."""
        self._shard.close()
        if self._discard is not None:
            self._discard()


def _request(
    vector: NDArray[np.float32], n: int, ef: int, wanted: edge.Filter | None, categories: Sequence[str]
) -> edge.QueryRequest:
    """ACORN keeps recall under a selective category, and costs more than it gives without."""
    params = edge.SearchParams(hnsw_ef=ef, acorn=edge.AcornSearchParams(enable=len(categories) > 0))
    return edge.QueryRequest(limit=n, query=edge.Query.Nearest(vector.tolist()), filter=wanted, params=params)


def _hits(found: Sequence[edge.ScoredPoint]) -> Hits:
    return Hits(
        np.fromiter((point.id for point in found), np.uint64, len(found)),
        np.fromiter((point.score for point in found), np.float32, len(found)),
    )


def _filter(categories: Sequence[str], exclude: NDArray[np.uint64] | None) -> edge.Filter | None:
    must: list[edge.ConditionType] = []
    must_not: list[edge.ConditionType] = []
    if len(categories):
        must.append(edge.FieldCondition(CATEGORY_FIELD, match=edge.MatchAny(list(categories))))
    if exclude is not None and exclude.size:
        must_not.append(edge.HasIdCondition(set(exclude.tolist())))
    return edge.Filter(must=must, must_not=must_not) if must or must_not else None
