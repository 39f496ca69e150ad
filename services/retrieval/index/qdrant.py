"""A Qdrant server: qdrant://host:6334/collection over gRPC, qdrant+http://host:6333/collection over REST."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models
from qdrant_client import grpc as wire

from services.retrieval.answering import answering
from services.retrieval.index.protocol import CATEGORY_FIELD, Hits, breadth

_BATCH = 2_000
"""Points per upsert: about 1 MiB of 64-d vectors."""


class QdrantIndex:
    """One collection, reached with the client library. Created when it is not there.

    With a `channel`, searches go through the raw gRPC stub: the client's own query spends more on pydantic than the
    server on the search.
    """

    remote = True

    def __init__(
        self,
        client: QdrantClient,
        collection: str,
        dimension: int,
        *,
        channel: grpc.Channel | None = None,
        timeout_s: float = 5.0,
    ) -> None:
        self._client = client
        self.collection = collection
        """Its name on the server."""
        self._channel = channel
        self._searcher: Any = None if channel is None else wire.PointsStub(channel)  # type: ignore[no-untyped-call]  # generated without types
        self._timeout_s = timeout_s
        with self._answering():
            if not client.collection_exists(collection):
                self._create(dimension)

    def _create(self, dimension: int) -> None:
        self._client.create_collection(
            self.collection,
            vectors_config=models.VectorParams(size=dimension, distance=models.Distance.DOT),
            hnsw_config=models.HnswConfigDiff(m=16, ef_construct=128),
        )
        self._client.create_payload_index(self.collection, CATEGORY_FIELD, models.PayloadSchemaType.KEYWORD)

    def upsert(
        self, ids: NDArray[np.uint64], vectors: NDArray[np.float32], categories: Sequence[Sequence[str]]
    ) -> None:
        """Adds or replaces N points."""
        for start in range(0, ids.size, _BATCH):
            part = slice(start, start + _BATCH)
            batch = models.Batch(
                ids=ids[part].tolist(),
                vectors=vectors[part].tolist(),
                payloads=[{CATEGORY_FIELD: list(names)} for names in categories[part]],
            )
            with self._answering():
                self._client.upsert(self.collection, batch, wait=True)

    def delete(self, ids: NDArray[np.uint64]) -> None:
        """Removes points."""
        with self._answering():
            self._client.delete(self.collection, models.PointIdsList(points=ids.tolist()), wait=True)

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
        with self._answering():
            if self._searcher is not None:
                request = _wire_query(self.collection, vector, n, ef or breadth(n), categories, exclude)
                return _wire_hits(self._searcher.Query(request, timeout=self._timeout_s).result)
            found = self._client.query_points(
                self.collection,
                query=vector.tolist(),
                limit=n,
                query_filter=_filter(categories, exclude),
                search_params=models.SearchParams(hnsw_ef=ef or breadth(n)),
                with_payload=False,
            )
        return _hits(found.points)

    def search_each(
        self,
        vectors: NDArray[np.float32],
        n: int,
        *,
        categories: Sequence[str] = (),
        exclude: NDArray[np.uint64] | None = None,
    ) -> list[Hits]:
        """The n nearest points of each vector, from one request."""
        with self._answering():
            if self._searcher is not None:
                wanted = [_wire_query(self.collection, one, n, breadth(n), categories, exclude) for one in vectors]
                batch = wire.QueryBatchPoints(collection_name=self.collection, query_points=wanted)
                answers = self._searcher.QueryBatch(batch, timeout=self._timeout_s).result
                return [_wire_hits(answer.result) for answer in answers]
            kept, params = _filter(categories, exclude), models.SearchParams(hnsw_ef=breadth(n))
            requests = [
                models.QueryRequest(
                    query=models.NearestQuery(nearest=one), filter=kept, params=params, limit=n, with_payload=False
                )
                for one in vectors.tolist()
            ]
            found = self._client.query_batch_points(self.collection, requests)
        return [_hits(answer.points) for answer in found]

    def count(self) -> int:
        """Number of points."""
        with self._answering():
            return int(self._client.count(self.collection, exact=True).count)

    def lead(self, alias: str) -> None:
        """Lets `alias` mean this collection from now on; whoever reads through it sees the old one or the new one."""
        with self._answering():
            taken = any(entry.alias_name == alias for entry in self._client.get_aliases().aliases)
            away = [models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))] if taken else []
            here = models.CreateAlias(collection_name=self.collection, alias_name=alias)
            self._client.update_collection_aliases([*away, models.CreateAliasOperation(create_alias=here)])

    def drop(self, collections: Iterable[str]) -> list[str]:
        """Deletes other collections of this server; returns those that were there."""
        with self._answering():
            there = {entry.name for entry in self._client.get_collections().collections}
            gone = sorted(there.intersection(collections) - {self.collection})
            for collection in gone:
                self._client.delete_collection(collection)
        return gone

    def close(self) -> None:
        """Closes the connections."""
        self._client.close()
        if self._channel is not None:
            self._channel.close()

    def _answering(self) -> AbstractContextManager[None]:
        return answering(f"The vector index {self.collection!r}")


def _hits(points: Sequence[models.ScoredPoint]) -> Hits:
    return Hits(
        np.array([int(point.id) for point in points], np.uint64),
        np.array([point.score for point in points], np.float32),
    )


def _wire_hits(points: Sequence[wire.ScoredPoint]) -> Hits:
    return Hits(
        np.array([point.id.num for point in points], np.uint64), np.array([point.score for point in points], np.float32)
    )


def _filter(categories: Sequence[str], exclude: NDArray[np.uint64] | None) -> models.Filter | None:
    if not len(categories) and (exclude is None or not exclude.size):
        return None
    must = [models.FieldCondition(key=CATEGORY_FIELD, match=models.MatchAny(any=list(categories)))]
    must_not = [models.HasIdCondition(has_id=exclude.tolist())] if exclude is not None and exclude.size else None
    return models.Filter(must=list(must) if len(categories) else None, must_not=list(must_not) if must_not else None)


def _wire_query(
    collection: str,
    vector: NDArray[np.float32],
    n: int,
    ef: int,
    categories: Sequence[str],
    exclude: NDArray[np.uint64] | None,
) -> wire.QueryPoints:
    must, must_not = [], []
    if len(categories):
        any_of = wire.Match(keywords=wire.RepeatedStrings(strings=list(categories)))
        must.append(wire.Condition(field=wire.FieldCondition(key=CATEGORY_FIELD, match=any_of)))
    if exclude is not None and exclude.size:
        ids = [wire.PointId(num=item) for item in exclude.tolist()]
        must_not.append(wire.Condition(has_id=wire.HasIdCondition(has_id=ids)))
    nearest = wire.VectorInput(dense=wire.DenseVector(data=vector.tolist()))
    return wire.QueryPoints(
        collection_name=collection,
        query=wire.Query(nearest=nearest),
        filter=wire.Filter(must=must, must_not=must_not),
        params=wire.SearchParams(hnsw_ef=ef),
        limit=n,
        with_payload=wire.WithPayloadSelector(enable=False),
    )
