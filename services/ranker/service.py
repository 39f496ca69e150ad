"""The ranker's door: protobuf outside, columns inside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from models.heads import Heads, wrong_with
from services.pb import common_pb2, ranker_pb2, ranker_pb2_grpc
from services.ranker.scoring import Scored, best_places, in_spec_order, score_candidates
from services.ranker.settings import RankerSettings
from services.ranker.versions import LoadedVersion, Versions, keep_fresh, require_champion
from services.runtime.convert import (
    ids_from_proto,
    matrix_from_proto,
    matrix_to_proto,
    user_from_proto,
    version_to_proto,
)
from services.runtime.errors import InvalidArgument, TooLarge
from services.runtime.itemfeed import ItemFeed
from services.runtime.metrics import ITEMS
from services.runtime.objectives import no_heads, objectives_to_proto
from services.runtime.registry import Registry
from services.runtime.server import Door, Service
from services.runtime.tracing import part

MOST_CANDIDATES = 1000
"""Candidates one Rank may ask for."""

Context = grpc.aio.ServicerContext[Any, Any]


class RankerService(ranker_pb2_grpc.RankerServicer):
    """Scores with the version a request asks for."""

    def __init__(self, versions: Versions, feed: ItemFeed) -> None:
        self._versions = versions
        self._feed = feed

    async def Rank(self, request: ranker_pb2.RankRequest, context: Context) -> ranker_pb2.RankResponse:
        chosen = self._versions.choose(request.model)
        weights = self._weights(chosen, request.objectives)
        if len(request.ids) > MOST_CANDIDATES:
            raise TooLarge(f"ids has {len(request.ids)} candidates; the limit is {MOST_CANDIDATES}.", field="ids")
        # Scored on the event loop: at a millisecond or two a hand-over to a thread would cost more than it frees.
        user = user_from_proto(request.user)
        with part("score") as span:
            scored = score_candidates(
                chosen.ranker,
                self._feed.table,
                user,
                ids_from_proto(request.ids),
                _retrieval_scores(request),
                at_ms=user.at_ms or time.time_ns() // 1_000_000,
                weights=weights,
            )
            span.tell("cascade.model.version", chosen.version)
            span.tell("cascade.items", len(request.ids))
        best = best_places(scored.scores, request.feature_rows)
        return ranker_pb2.RankResponse(
            scores=scored.scores.astype("<f4", copy=False).tobytes(),
            model_version=chosen.version,
            model_kind=chosen.ranker.kind,
            features=matrix_to_proto(scored.features[best], chosen.ranker.spec.columns) if best.size else None,
            feature_places=best.tolist(),
            unknown=scored.unknown.tolist(),
            objectives=weights,
            heads=_heads(chosen.ranker.heads, scored) if request.heads else None,
        )

    async def ListModels(
        self, request: common_pb2.ListModelsRequest, context: Context
    ) -> common_pb2.ListModelsResponse:
        listed = await asyncio.to_thread(self._versions.listed)
        return common_pb2.ListModelsResponse(models=[version_to_proto(found, loaded) for found, loaded in listed])

    async def GetObjectives(self, request: ranker_pb2.ObjectivesRequest, context: Context) -> common_pb2.Objectives:
        champion = self._versions.choose("")
        kind, heads = champion.ranker.kind, champion.ranker.heads
        if heads is None:
            raise no_heads(champion.version, kind)
        return objectives_to_proto(champion.version, kind, heads, self._versions.objectives)

    def _weights(self, chosen: LoadedVersion, asked: Mapping[str, float]) -> dict[str, float] | None:
        """What each head weighs in this request; None for a version with one score."""
        heads = chosen.ranker.heads
        if heads is None:
            if asked:
                raise no_heads(chosen.version, chosen.ranker.kind)
            return None
        if asked and (reason := wrong_with(asked, heads)):
            raise InvalidArgument(reason, field="objectives")
        return heads.weights(asked or self._versions.objectives)


def _heads(heads: Heads | None, scored: Scored) -> common_pb2.Matrix | None:
    if heads is None or scored.logits is None:
        return None
    return matrix_to_proto(heads.probabilities(scored.logits), heads.names)


def _retrieval_scores(request: ranker_pb2.RankRequest) -> NDArray[np.float32] | None:
    matrix = request.retrieval_scores
    if not matrix.rows:
        return None
    if matrix.rows != len(request.ids):
        raise InvalidArgument(
            f"retrieval_scores has {matrix.rows} rows for {len(request.ids)} ids; they must be parallel, or none.",
            field="retrieval_scores",
        )
    return in_spec_order(matrix_from_proto(matrix), list(matrix.columns))


@asynccontextmanager
async def build(settings: RankerSettings) -> AsyncIterator[Door]:
    """Waits for the catalog, loads and warms the models, and follows both from then on."""
    registry = await asyncio.to_thread(Registry.open, settings.data_dir, settings.registry_url, create=False)
    await asyncio.to_thread(require_champion, registry)
    async with ItemFeed.connect(settings.features_url, settings.catalog_seconds) as feed:
        feed.on_change(lambda table: ITEMS.labels("ranker").set(len(table)))
        versions = Versions(registry, feed, settings.kept_versions)
        await asyncio.to_thread(versions.start)
        following = asyncio.create_task(keep_fresh(versions, settings.poll_seconds))
        ranker = RankerService(versions, feed)
        try:
            yield Door(
                add=lambda server: ranker_pb2_grpc.add_RankerServicer_to_server(ranker, server),
                services=("cascade.Ranker",),
                failed=following,
            )
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


SERVICE = Service("ranker", RankerSettings, build)
