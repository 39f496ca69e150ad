"""A ranker on real gRPC: the larger the id, the better, and switches to break it."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray

from models.heads import Heads
from services.pb import common_pb2, ranker_pb2, ranker_pb2_grpc
from services.runtime.errors import CascadeError
from services.runtime.objectives import no_heads, objectives_to_proto
from tests.gateway.films import ITEMS
from tests.gateway.switches import Switches

HEADS = ("click", "like")


class RankerPeer(ranker_pb2_grpc.RankerServicer):
    def __init__(self) -> None:
        self.switches = Switches()
        self.challenger: CascadeError | None = None
        self.slow_challenger = False
        self.strange: dict[str, float] = {}
        """Model -> what it says of every candidate."""
        self.turned = False
        """The challenger ranks the other way round."""
        self.objectives: dict[str, float] | None = None
        """What its heads weigh, `click`, which rises with the id, and `like`, which falls; None for one score."""

    async def Rank(self, request: ranker_pb2.RankRequest, context: Any) -> ranker_pb2.RankResponse:
        await self.switches.applied(request, context)
        if request.model == "challenger" and self.challenger is not None:
            await context.abort(self.challenger.code, self.challenger.sentence)
        ids = list(request.ids)[: 1 if self.switches.wrong else None]
        if request.model == "challenger" and self.slow_challenger:
            await asyncio.Event().wait()
        scores = np.array(ids, "<f4") / (-1000 if self.turned and request.model == "challenger" else 1000)
        scores[:] = self.strange.get(request.model, scores)
        weights, heads = await self._weighed(request, context)
        if weights:
            scores[:] = heads @ np.array([weights.get("click", 0), weights.get("like", 0)], "<f4")
        rows = np.stack([scores, np.full(len(ids), np.nan, "<f4")], axis=1).astype("<f4")
        return ranker_pb2.RankResponse(
            scores=scores.tobytes(),
            model_version="13" if request.model == "challenger" else "12",
            model_kind="mmoe" if weights else "lambdamart",
            features=common_pb2.Matrix(rows=len(ids), columns=["size", "mystery"], values=rows.tobytes()),
            unknown=[number for number in ids if number not in ITEMS],
            feature_places=range(len(ids)),
            objectives=weights,
            heads=common_pb2.Matrix(rows=len(ids), columns=HEADS, values=heads.tobytes())
            if weights and request.heads
            else None,
        )

    async def GetObjectives(self, request: ranker_pb2.ObjectivesRequest, context: Any) -> common_pb2.Objectives:
        await self.switches.applied(request, context)
        if self.objectives is None:
            error = no_heads("12", "lambdamart")
            await context.abort(error.code, error.sentence)
        return objectives_to_proto("12", "mmoe", Heads(HEADS, (1.0, 0.0)), self.objectives or {})

    async def _weighed(self, request: ranker_pb2.RankRequest, context: Any) -> tuple[dict[str, float], NDArray[Any]]:
        click = np.array(request.ids, "<f4") / 1000
        if not set(request.objectives) <= set(HEADS):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "There is no such head.")
        asked = dict(request.objectives) or self.objectives
        weights = {} if self.objectives is None else {head: (asked or {}).get(head, 0.0) for head in HEADS}
        return weights, np.stack([click, 1 - click], axis=1).astype("<f4")

    async def ListModels(self, request: common_pb2.ListModelsRequest, context: Any) -> common_pb2.ListModelsResponse:
        await self.switches.applied(request, context)
        model = common_pb2.ModelVersion(name="ranker", version="12", kind="lambdamart", aliases=["champion"])
        return common_pb2.ListModelsResponse(models=[model])
