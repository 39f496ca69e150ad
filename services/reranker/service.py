"""The wire side of the re-ranker: translate, compose the slate, translate back."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from models.items import ItemTable
from services.pb import common_pb2, reranker_pb2, reranker_pb2_grpc
from services.reranker.config import SlateConfig
from services.reranker.quality import SlateQuality
from services.reranker.settings import RerankerSettings
from services.reranker.slate import Slate, compose
from services.runtime.convert import floats_from_bytes, ids_from_proto
from services.runtime.errors import InvalidArgument
from services.runtime.itemfeed import ItemFeed
from services.runtime.metrics import ITEMS
from services.runtime.server import Door, Service

MAX_CANDIDATES = 1000
"""Most candidates a request may bring."""

_SECONDS_A_DAY = 86_400


class RerankerServicer(reranker_pb2_grpc.RerankerServicer):
    """One method per rpc."""

    def __init__(self, feed: ItemFeed, config: SlateConfig) -> None:
        self._feed = feed
        self._config = config
        self._quality = SlateQuality()

    async def Rerank(self, request: reranker_pb2.RerankRequest, context: Any) -> reranker_pb2.RerankResponse:
        ids, scores = ids_from_proto(request.ids), floats_from_bytes(request.scores)
        if ids.size > MAX_CANDIDATES:
            raise InvalidArgument(f"ids may hold {MAX_CANDIDATES} candidates at most, not {ids.size}.", field="ids")
        if ids.size != scores.size:
            raise InvalidArgument(f"{ids.size} ids came with {scores.size} scores.", field="scores")
        if not request.n:
            raise InvalidArgument("n must be 1 or more.", field="n")
        config = SlateConfig.off() if request.rules_off else self._config
        today = float(time.time() // _SECONDS_A_DAY)
        table = self._feed.table
        slate = compose(ids, scores, request.n, table, config, seed=request.seed, now_days=today)
        self._quality.observe(slate.ids, table)
        return _answer(slate)


@asynccontextmanager
async def build(settings: RerankerSettings) -> AsyncIterator[Door]:
    """Waits for the catalog and follows it."""
    async with ItemFeed.connect(settings.features_url, settings.catalog_deadline_s) as feed:
        feed.on_change(lambda table: ITEMS.labels("reranker").set(len(table)))
        _warm(feed.table, settings.slate)
        servicer = RerankerServicer(feed, settings.slate)
        yield Door(
            lambda server: reranker_pb2_grpc.add_RerankerServicer_to_server(servicer, server),
            ("cascade.Reranker",),
        )


SERVICE = Service("reranker", RerankerSettings, build)


def _warm(items: ItemTable, config: SlateConfig) -> None:
    ids = items.ids[:MAX_CANDIDATES]
    for seed in range(10):
        compose(ids, np.linspace(1, 0, ids.size, dtype=np.float32), 10, items, config, seed=seed)


def _answer(slate: Slate) -> reranker_pb2.RerankResponse:
    return reranker_pb2.RerankResponse(
        ids=slate.ids.tolist(),
        slots=slate.slots,
        propensities=slate.propensities.astype("<f4").tobytes(),
        rules=[
            reranker_pb2.RuleReport(
                rule=report.rule,
                kept=report.kept,
                removed=[common_pb2.Removed(reason=reason, ids=ids.tolist()) for reason, ids in report.removed.items()],
                milliseconds=report.milliseconds,
            )
            for report in slate.reports
        ],
    )
