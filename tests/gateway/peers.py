"""Peers on real gRPC with answers a test can compute by heart, and switches to break them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import numpy as np

from models.items import ItemRows
from models.user import UserState
from services.pb import (
    common_pb2,
    features_pb2,
    features_pb2_grpc,
    llm_pb2_grpc,
    ranker_pb2_grpc,
    reranker_pb2,
    reranker_pb2_grpc,
    retrieval_pb2,
    retrieval_pb2_grpc,
    trainer_pb2_grpc,
)
from services.runtime.convert import floats_from_bytes, items_to_proto, user_to_proto
from services.runtime.errors import CascadeError
from tests.gateway.films import ITEMS, item_rows
from tests.gateway.llm_peer import LlmPeer
from tests.gateway.ranker_peer import RankerPeer
from tests.gateway.switches import Switches
from tests.gateway.trainer_peer import TrainerPeer


class FeaturesPeer(features_pb2_grpc.FeaturesServicer):
    def __init__(self) -> None:
        self.switches = Switches()
        self.users: dict[int, UserState] = {}
        self.updates: asyncio.Queue[features_pb2.ItemsUpdate] = asyncio.Queue()

    async def GetUser(self, request: features_pb2.GetUserRequest, context: Any) -> features_pb2.GetUserResponse:
        await self.switches.applied(request, context)
        user = self.users.get(request.user_id, UserState(request.user_id))
        return features_pb2.GetUserResponse(user=user_to_proto(user))

    async def GetFeatures(
        self, request: features_pb2.GetFeaturesRequest, context: Any
    ) -> features_pb2.GetFeaturesResponse:
        raise NotImplementedError("The gateway never asks for this.")

    async def WatchItems(
        self, request: features_pb2.WatchItemsRequest, context: Any
    ) -> AsyncIterator[features_pb2.ItemsUpdate]:
        yield features_pb2.ItemsUpdate(upserts=items_to_proto(item_rows()), snapshot_end=True)
        while True:
            yield await self.updates.get()


class RetrievalPeer(retrieval_pb2_grpc.RetrievalServicer):
    def __init__(self) -> None:
        self.switches = Switches()
        self.leaky = False
        """Forgets every filter."""
        self.lost = ""
        """Why the source two_tower has no answer."""
        self.challenger: CascadeError | None = None
        self.finds: Callable[[retrieval_pb2.SearchRequest], bool] = lambda request: True
        """Whether a search finds anything."""

    async def Retrieve(self, request: retrieval_pb2.RetrieveRequest, context: Any) -> retrieval_pb2.RetrieveResponse:
        await self.switches.applied(request, context)
        await self._refused(request.model, context)
        blocked = {*request.user.seen, *request.user.hidden, *request.exclude}
        seen = [number for number in ITEMS if number in request.user.seen]
        ids = [number for number in ITEMS if self.leaky or number not in blocked]
        because = request.user.history[-1] if request.user.history else 0
        answer = self._answer(ids[: request.n], because, request.model)
        answer.removed.append(common_pb2.Removed(reason="seen", ids=seen))
        return answer

    async def ScoreItems(
        self, request: retrieval_pb2.ScoreItemsRequest, context: Any
    ) -> retrieval_pb2.RetrieveResponse:
        await self.switches.applied(request, context)
        await self._refused(request.model, context)
        return self._answer(list(request.ids), model=request.model)

    async def Similar(self, request: retrieval_pb2.SimilarRequest, context: Any) -> retrieval_pb2.RetrieveResponse:
        await self.switches.applied(request, context)
        near = sorted(ITEMS, key=lambda number: (abs(number - request.item_id), number))
        return self._answer([number for number in near if number not in request.exclude][: request.n])

    async def Search(self, request: retrieval_pb2.SearchRequest, context: Any) -> retrieval_pb2.SearchResponse:
        await self.switches.applied(request, context)
        found = ITEMS[: request.n] if self.finds(request) else ()
        return retrieval_pb2.SearchResponse(ids=found, by_words=bool(request.text))

    async def Popular(self, request: retrieval_pb2.PopularRequest, context: Any) -> retrieval_pb2.RetrieveResponse:
        await self.switches.applied(request, context)
        return self._answer(list(ITEMS)[: request.n])

    async def Latest(self, request: retrieval_pb2.LatestRequest, context: Any) -> retrieval_pb2.RetrieveResponse:
        await self.switches.applied(request, context)
        return self._answer(list(ITEMS)[: request.n])

    async def ListModels(self, request: common_pb2.ListModelsRequest, context: Any) -> common_pb2.ListModelsResponse:
        await self.switches.applied(request, context)
        model = common_pb2.ModelVersion(name="two_tower", version="7", kind="two_tower", loaded=True)
        return common_pb2.ListModelsResponse(models=[model])

    async def _refused(self, model: str, context: Any) -> None:
        if model == "challenger" and self.challenger is not None:
            await context.abort(self.challenger.code, self.challenger.sentence)

    def _answer(self, ids: list[int], because: int = 0, model: str = "") -> retrieval_pb2.RetrieveResponse:
        if self.switches.wrong:
            ids = [*ids, 1]
        scores = np.array([[1 / (1 + place), np.nan] for place in range(len(ids))], "<f4").reshape(-1, 2)
        return retrieval_pb2.RetrieveResponse(
            ids=ids,
            scores=common_pb2.Matrix(rows=len(ids), columns=["two_tower", "popularity"], values=scores.tobytes()),
            proposed_by=[1 + 2 * (number % 2) for number in ids][: 1 if self.switches.wrong else None],
            because=[because] * len(ids),
            reports=[
                retrieval_pb2.SourceReport(
                    source="two_tower", proposed=len(ids), kept=len(ids), milliseconds=1, error=self.lost
                ),
                retrieval_pb2.SourceReport(source="popularity", proposed=len(ids), kept=len(ids) // 2),
            ],
            model_versions={"two_tower": "8" if model == "challenger" else "7"},
        )


class RerankerPeer(reranker_pb2_grpc.RerankerServicer):
    def __init__(self) -> None:
        self.switches = Switches()

    async def Rerank(self, request: reranker_pb2.RerankRequest, context: Any) -> reranker_pb2.RerankResponse:
        await self.switches.applied(request, context)
        order = np.argsort(-floats_from_bytes(request.scores), kind="stable")[: request.n]
        ids = [0] if self.switches.wrong else [request.ids[row] for row in order]
        report = reranker_pb2.RuleReport(rule="genre_cap", kept=len(ids), milliseconds=0.1)
        return reranker_pb2.RerankResponse(
            ids=ids,
            slots=["explore" if place == len(ids) - 1 else "ranked" for place in range(len(ids))],
            propensities=np.full(len(ids), 0.5, "<f4").tobytes(),
            rules=[report],
        )


class Peers:
    """The six, each on a port of its own, which it keeps when it comes back."""

    def __init__(self) -> None:
        self.features, self.retrieval, self.ranker, self.reranker = (
            FeaturesPeer(), RetrievalPeer(), RankerPeer(), RerankerPeer()
        )  # fmt: skip
        self.trainer, self.llm = TrainerPeer(), LlmPeer()
        self.urls: dict[str, str] = {}
        self._servers: dict[str, grpc.aio.Server] = {}

    async def up(self, name: str) -> None:
        """Starts a peer, on its old port when it had one."""
        add: dict[str, Callable[[grpc.aio.Server], None]] = {
            "features": lambda s: features_pb2_grpc.add_FeaturesServicer_to_server(self.features, s),
            "retrieval": lambda s: retrieval_pb2_grpc.add_RetrievalServicer_to_server(self.retrieval, s),
            "ranker": lambda s: ranker_pb2_grpc.add_RankerServicer_to_server(self.ranker, s),
            "reranker": lambda s: reranker_pb2_grpc.add_RerankerServicer_to_server(self.reranker, s),
            "trainer": self._add_trainer,
            "llm": lambda s: llm_pb2_grpc.add_LlmServicer_to_server(self.llm, s),
        }
        server = grpc.aio.server()
        add[name](server)
        address = self.urls.get(name, "grpc://127.0.0.1:0").removeprefix("grpc://")
        port = server.add_insecure_port(address)
        await server.start()
        self.urls[name], self._servers[name] = f"grpc://127.0.0.1:{port}", server

    def _add_trainer(self, server: grpc.aio.Server) -> None:
        trainer_pb2_grpc.add_RolloutsServicer_to_server(self.trainer, server)
        trainer_pb2_grpc.add_TrainingServicer_to_server(self.trainer, server)

    async def down(self, name: str) -> None:
        """Stops a peer at once, as a kill would."""
        await self._servers.pop(name).stop(None)

    def switches(self, name: str) -> Switches:
        """How a peer misbehaves."""
        peer: FeaturesPeer | RetrievalPeer | RankerPeer | RerankerPeer | LlmPeer = getattr(self, name)
        return peer.switches

    async def update_items(self, upserts: ItemRows | None = None, deleted: tuple[int, ...] = ()) -> None:
        """Sends a change of the catalog to whoever watches."""
        rows = items_to_proto(upserts if upserts is not None else ItemRows.empty())
        await self.features.updates.put(features_pb2.ItemsUpdate(upserts=rows, deleted=deleted))

    async def close(self) -> None:
        for name in list(self._servers):
            await self.down(name)


@asynccontextmanager
async def running_peers() -> AsyncIterator[Peers]:
    """Six peers that work."""
    peers = Peers()
    for name in ("features", "retrieval", "ranker", "reranker", "trainer", "llm"):
        await peers.up(name)
    try:
        yield peers
    finally:
        await peers.close()


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 5.0) -> None:
    """Waits for a condition; fails after the deadline."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - the condition lies in other processes and threads
            await asyncio.sleep(0.01)
