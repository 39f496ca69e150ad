"""A Qdrant server, over gRPC or REST: one collection with a dense and a sparse vector of each item."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager

import numpy as np
from numpy.typing import NDArray
from qdrant_client import QdrantClient, models

from services.retrieval.answering import answering
from services.retrieval.text.bm25 import Sparse
from services.retrieval.text.store import GENRES_FIELD, SENTENCE, TERMS, YEAR_FIELD, Entry, Nearest, Where

_BATCH = 500
"""Points per upsert: about 2 MiB of JSON."""


class QdrantTextStore:
    """One collection, created when it is not there. Several processes may write the same catalog into it."""

    def __init__(self, client: QdrantClient, collection: str, dimensions: int) -> None:
        self._client = client
        self._collection = collection
        self._dimensions = dimensions
        self.ensure()

    def ensure(self) -> None:
        """Creates the collection when it is not there."""
        with self._answering():
            if not self._client.collection_exists(self._collection):
                self._create()

    def _create(self) -> None:
        self._client.create_collection(
            self._collection,
            vectors_config={SENTENCE: models.VectorParams(size=self._dimensions, distance=models.Distance.DOT)},
            sparse_vectors_config={TERMS: models.SparseVectorParams()},
        )
        self._client.create_payload_index(self._collection, GENRES_FIELD, models.PayloadSchemaType.KEYWORD)
        self._client.create_payload_index(self._collection, YEAR_FIELD, models.PayloadSchemaType.INTEGER)

    def upsert(self, entries: Sequence[Entry]) -> None:
        """Adds or replaces points."""
        for start in range(0, len(entries), _BATCH):
            points = [
                models.PointStruct(
                    id=entry.id,
                    vector={SENTENCE: entry.sentence.tolist(), TERMS: _sparse(entry.terms)},
                    payload={GENRES_FIELD: list(entry.genres), YEAR_FIELD: entry.year},
                )
                for entry in entries[start : start + _BATCH]
            ]
            with self._answering():
                self._client.upsert(self._collection, points, wait=True)

    def delete(self, ids: Collection[int]) -> None:
        """Removes points."""
        with self._answering():
            self._client.delete(self._collection, models.PointIdsList(points=list(ids)), wait=True)

    def keep_only(self, ids: Collection[int]) -> None:
        """Removes every point but these."""
        others = models.Filter(must_not=[models.HasIdCondition(has_id=list(ids))])
        with self._answering():
            self._client.delete(self._collection, models.FilterSelector(filter=others), wait=True)

    def search(self, sentence: NDArray[np.float32] | None, terms: Sparse, n: int, where: Where) -> Nearest:
        """The n best by each vector, from one batch."""
        queries: dict[str, list[float] | models.SparseVector] = {}
        if sentence is not None:
            queries[SENTENCE] = sentence.tolist()
        if terms.indices:
            queries[TERMS] = _sparse(terms)
        if not queries:
            return Nearest(_ids([]), _ids([]))
        wanted = _filter(where)
        requests = [
            models.QueryRequest(query=models.NearestQuery(nearest=query), using=name, filter=wanted, limit=n)
            for name, query in queries.items()
        ]
        with self._answering():
            answers = self._client.query_batch_points(self._collection, requests)
        found = dict(zip(queries, answers, strict=True))
        return Nearest(
            *(_ids(found[name].points if name in found else []) for name in (SENTENCE, TERMS)),
        )

    def count(self) -> int:
        """Number of points."""
        with self._answering():
            return int(self._client.count(self._collection, exact=True).count)

    def close(self) -> None:
        """Closes the connections; the collection stays."""
        self._client.close()

    def _answering(self) -> AbstractContextManager[None]:
        return answering(f"The text index {self._collection!r}")


def _sparse(terms: Sparse) -> models.SparseVector:
    return models.SparseVector(indices=terms.indices, values=terms.values)


def _ids(points: Sequence[models.ScoredPoint]) -> NDArray[np.uint64]:
    return np.array([int(point.id) for point in points], np.uint64)


def _filter(where: Where) -> models.Filter | None:
    must: list[models.Condition] = [
        models.FieldCondition(key=GENRES_FIELD, match=models.MatchValue(value=genre)) for genre in where.genres
    ]
    if where.any_genres:
        must.append(models.FieldCondition(key=GENRES_FIELD, match=models.MatchAny(any=list(where.any_genres))))
    if where.year_from is not None or where.year_to is not None:
        years = models.Range(gte=where.year_from, lte=where.year_to)
        must.append(models.FieldCondition(key=YEAR_FIELD, range=years))
    must_not: list[models.Condition] = []
    if where.not_genres:
        must_not.append(models.FieldCondition(key=GENRES_FIELD, match=models.MatchAny(any=list(where.not_genres))))
    for first, last in where.not_years:
        must_not.append(models.FieldCondition(key=YEAR_FIELD, range=models.Range(gte=first, lte=last)))
    if where.exclude:
        must_not.append(models.HasIdCondition(has_id=sorted(where.exclude)))
    return models.Filter(must=must or None, must_not=must_not or None) if must or must_not else None
