"""The wire side of retrieval: translate, ask the retriever, translate back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from models.spec import RETRIEVAL_COLUMNS
from services.pb import common_pb2, retrieval_pb2, retrieval_pb2_grpc
from services.retrieval.candidates import Candidates
from services.retrieval.champions import Champions
from services.retrieval.listing import latest, popular
from services.retrieval.loading import MODEL_NAMES
from services.retrieval.search import DEPTH, search
from services.retrieval.settings import RetrievalSettings
from services.retrieval.similar import similar
from services.retrieval.text import Where
from services.retrieval.text.following import FollowedText
from services.runtime.convert import ids_from_proto, matrix_to_proto, user_from_proto, version_to_proto
from services.runtime.errors import InvalidArgument, Unavailable
from services.runtime.itemfeed import ItemFeed
from services.runtime.logs import get_logger
from services.runtime.metrics import CANDIDATES, SOURCE_FAILURES, SOURCE_SECONDS
from services.runtime.registry import Registry
from services.runtime.server import Door, Service

log = get_logger("retrieval")

MAX_CANDIDATES = 1000
"""Most items a request may ask for or bring."""


class RetrievalServicer(retrieval_pb2_grpc.RetrievalServicer):
    """One method per rpc."""

    def __init__(
        self, champions: Champions, registry: Registry, feed: ItemFeed, text: FollowedText, settings: RetrievalSettings
    ) -> None:
        self._champions, self._feed, self._text = champions, feed, text
        self._registry = registry
        self._deadline_s = settings.source_deadline_ms / 1000

    async def Retrieve(self, request: retrieval_pb2.RetrieveRequest, context: Any) -> retrieval_pb2.RetrieveResponse:
        n = _checked(request.n)
        with self._champions.serving(request.model) as serving:
            candidates = await serving.retriever.retrieve_within(
                user_from_proto(request.user),
                n,
                ids_from_proto(request.exclude),
                list(request.categories),
                request.context_item,
                deadline_s=self._deadline_s,
            )
        for report in candidates.reports:
            CANDIDATES.labels(report.source).observe(report.proposed)
            SOURCE_SECONDS.labels(report.source).observe(report.milliseconds / 1000)
            if report.error:
                SOURCE_FAILURES.labels(report.source).inc()
        return _answer(candidates, serving.versions)

    async def ScoreItems(
        self, request: retrieval_pb2.ScoreItemsRequest, context: Any
    ) -> retrieval_pb2.RetrieveResponse:
        if len(request.ids) > MAX_CANDIDATES:
            raise InvalidArgument(f"ids may hold {MAX_CANDIDATES} items at most, not {len(request.ids)}.", field="ids")
        with self._champions.serving(request.model) as serving:
            scored = serving.retriever.score(user_from_proto(request.user), ids_from_proto(request.ids))
        return _answer(scored, serving.versions)

    async def Similar(self, request: retrieval_pb2.SimilarRequest, context: Any) -> retrieval_pb2.RetrieveResponse:
        n, serving = _checked(request.n), self._champions.current
        found = similar(
            serving.retriever, request.item_id, n, ids_from_proto(request.exclude), list(request.categories)
        )
        return _answer(found, serving.versions)

    async def Popular(self, request: retrieval_pb2.PopularRequest, context: Any) -> retrieval_pb2.RetrieveResponse:
        n, serving = _checked(request.n), self._champions.current
        found = popular(serving.retriever, n, dict(request.profile), list(request.categories))
        return _answer(found, serving.versions)

    async def Latest(self, request: retrieval_pb2.LatestRequest, context: Any) -> retrieval_pb2.RetrieveResponse:
        n, serving = _checked(request.n), self._champions.current
        return _answer(latest(serving.retriever, n, list(request.categories)), serving.versions)

    async def Search(self, request: retrieval_pb2.SearchRequest, context: Any) -> retrieval_pb2.SearchResponse:
        n, where = _checked(request.n), _where(request)
        return await asyncio.to_thread(self._searched, request, n, where)

    def _searched(self, request: retrieval_pb2.SearchRequest, n: int, where: Where) -> retrieval_pb2.SearchResponse:
        words, by_words = None, bool(request.text.strip())
        if by_words:
            try:
                words = self._text.search(request.text, max(n, DEPTH), where).ids
            except Unavailable as error:
                log.debug("searched without words", reason=error.sentence)
                by_words = False
        serving = self._champions.current
        ids = search(serving.retriever, self._feed.table, words, list(request.like), where, n)
        return retrieval_pb2.SearchResponse(ids=ids.tolist(), by_words=by_words)

    async def ListModels(self, request: common_pb2.ListModelsRequest, context: Any) -> common_pb2.ListModelsResponse:
        return await asyncio.to_thread(self._listed)

    def _listed(self) -> common_pb2.ListModelsResponse:
        return common_pb2.ListModelsResponse(
            models=[
                version_to_proto(version, self._champions.serves(name, version.version))
                for name in MODEL_NAMES
                for version in self._registry.versions(name)
            ]
        )


@asynccontextmanager
async def build(settings: RetrievalSettings) -> AsyncIterator[Door]:
    """Waits for the catalog, loads and warms the champions, and follows both, and challengers when there are any."""
    registry = await asyncio.to_thread(Registry.open, settings.data_dir, settings.registry_url, create=False)
    async with (
        ItemFeed.connect(settings.features_url, settings.catalog_deadline_s) as feed,
        Champions.following(registry, feed, settings) as champions,
        FollowedText.beside(feed, settings) as text,
    ):
        servicer = RetrievalServicer(champions, registry, feed, text, settings)
        yield Door(
            lambda server: retrieval_pb2_grpc.add_RetrievalServicer_to_server(servicer, server),
            ("cascade.Retrieval",),
        )


SERVICE = Service("retrieval", RetrievalSettings, build)


def _checked(n: int) -> int:
    if not 1 <= n <= MAX_CANDIDATES:
        raise InvalidArgument(f"n must be between 1 and {MAX_CANDIDATES}, not {n}.", field="n")
    return n


def _where(request: retrieval_pb2.SearchRequest) -> Where:
    genres = tuple(request.genres)
    return Where(
        genres=() if request.any_genre else genres,
        any_genres=genres if request.any_genre else (),
        not_genres=tuple(request.not_genres),
        year_from=request.year_from or None,
        year_to=request.year_to or None,
        not_years=tuple((no.first, no.last) for no in request.not_years),
    )


def _answer(candidates: Candidates, versions: Mapping[str, str]) -> retrieval_pb2.RetrieveResponse:
    return retrieval_pb2.RetrieveResponse(
        ids=candidates.ids.tolist(),
        scores=matrix_to_proto(np.ascontiguousarray(candidates.scores), RETRIEVAL_COLUMNS),
        proposed_by=candidates.proposed_by.tolist(),
        because=candidates.because.tolist(),
        reports=[
            retrieval_pb2.SourceReport(
                source=report.source,
                proposed=report.proposed,
                kept=report.kept,
                milliseconds=report.milliseconds,
                error=report.error,
            )
            for report in candidates.reports
        ],
        removed=[
            common_pb2.Removed(reason=reason, ids=ids.tolist()) for reason, ids in sorted(candidates.removed.items())
        ],
        model_versions=versions,
    )
