"""The peers: the one place of the gateway that speaks protobuf to them. Every call has a deadline in seconds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Self

import grpc
import numpy as np
from grpc_health.v1 import health_pb2
from numpy.typing import NDArray

from models.user import UserState
from services.gateway.nouns import (
    Candidates,
    ModelCard,
    Objectives,
    Removed,
    RuleReport,
    Scores,
    Searched,
    Slate,
    SourceReport,
)
from services.gateway.search import Query
from services.gateway.settings import GatewaySettings
from services.pb import (
    common_pb2,
    features_pb2,
    features_pb2_grpc,
    ranker_pb2,
    ranker_pb2_grpc,
    reranker_pb2,
    reranker_pb2_grpc,
    retrieval_pb2,
    retrieval_pb2_grpc,
)
from services.runtime.client import call, open_channel
from services.runtime.convert import (
    floats_from_bytes,
    ids_from_proto,
    matrix_from_proto,
    matrix_to_proto,
    user_from_proto,
    user_to_proto,
)
from services.runtime.errors import CascadeError, Unavailable


class Peers:
    """Features, retrieval, ranker and re-ranker. Failures are errors of the tree, naming the peer."""

    def __init__(self, channels: Mapping[str, grpc.aio.Channel]) -> None:
        self._channels = channels
        self._features = features_pb2_grpc.FeaturesStub(channels["features"])
        self._retrieval = retrieval_pb2_grpc.RetrievalStub(channels["retrieval"])
        self._ranker = ranker_pb2_grpc.RankerStub(channels["ranker"])
        self._reranker = reranker_pb2_grpc.RerankerStub(channels["reranker"])

    @classmethod
    @asynccontextmanager
    async def connect(cls, settings: GatewaySettings) -> AsyncIterator[Self]:
        """Channels to every peer; connecting happens with the first calls."""
        urls = {
            "features": settings.features_url,
            "retrieval": settings.retrieval_url,
            "ranker": settings.ranker_url,
            "reranker": settings.reranker_url,
        }
        async with AsyncExitStack() as stack:
            yield cls({name: await stack.enter_async_context(open_channel(url)) for name, url in urls.items()})

    async def user(self, user_id: int, timeout: float) -> UserState:
        """Everything known of a user; an unknown one is an empty state."""
        request = features_pb2.GetUserRequest(user_id=user_id)
        answer = await call(self._features.GetUser, request, timeout=timeout, peer="features")
        return user_from_proto(answer.user)

    async def candidates(
        self,
        user: UserState,
        n: int,
        *,
        exclude: Iterable[int],
        categories: Iterable[str],
        context_item: int,
        model: str,
        timeout: float,
    ) -> Candidates:
        """Up to n candidates for a user, best first; `model` is champion or challenger, NotFound when not loaded."""
        request = retrieval_pb2.RetrieveRequest(
            user=user_to_proto(user),
            n=n,
            exclude=exclude,
            categories=categories,
            context_item=context_item,
            model=model,
        )
        return _candidates(await call(self._retrieval.Retrieve, request, timeout=timeout, peer="retrieval"))

    async def listed(self, user: UserState, ids: NDArray[np.uint64], model: str, timeout: float) -> Candidates:
        """The source scores of a given list, order and length kept."""
        request = retrieval_pb2.ScoreItemsRequest(user=user_to_proto(user), ids=ids.tolist(), model=model)
        found = _candidates(await call(self._retrieval.ScoreItems, request, timeout=timeout, peer="retrieval"))
        if not np.array_equal(found.ids, ids):
            raise Unavailable("retrieval scored other items than it was asked to.")
        return found

    async def similar(
        self, item_id: int, n: int, exclude: Iterable[int], categories: Iterable[str], timeout: float
    ) -> Candidates:
        """Items like one item; NotFound for an item no source knows."""
        request = retrieval_pb2.SimilarRequest(item_id=item_id, n=n, exclude=exclude, categories=categories)
        return _candidates(await call(self._retrieval.Similar, request, timeout=timeout, peer="retrieval"))

    async def popular(
        self, n: int, profile: Mapping[str, str], categories: Iterable[str], timeout: float
    ) -> Candidates:
        """Popular items, overall or of a segment."""
        request = retrieval_pb2.PopularRequest(n=n, profile=profile, categories=categories)
        return _candidates(await call(self._retrieval.Popular, request, timeout=timeout, peer="retrieval"))

    async def latest(self, n: int, categories: Iterable[str], timeout: float) -> Candidates:
        """Newest items first."""
        request = retrieval_pb2.LatestRequest(n=n, categories=categories)
        return _candidates(await call(self._retrieval.Latest, request, timeout=timeout, peer="retrieval"))

    async def searched(self, query: Query, n: int, timeout: float) -> Searched:
        """Items for a query, best first."""
        years = query.years
        request = retrieval_pb2.SearchRequest(
            text=" ".join((query.text_left, *query.people)),
            like=query.like_ids,
            n=n,
            genres=query.genres,
            any_genre=query.any_genre,
            not_genres=query.not_genres,
            year_from=(years.first or 0) if years else 0,
            year_to=(years.last or 0) if years else 0,
            not_years=[retrieval_pb2.YearRange(first=no.first or 0, last=no.last or 0) for no in query.not_years],
        )
        answer = await call(self._retrieval.Search, request, timeout=timeout, peer="retrieval")
        return Searched(ids_from_proto(answer.ids), answer.by_words)

    async def scores(
        self,
        user: UserState,
        found: Candidates,
        model: str,
        feature_rows: int,
        timeout: float,
        objectives: Mapping[str, float] | None = None,
        heads: bool = False,
    ) -> Scores:
        """The ranker's scores, with the feature rows of the best `feature_rows` candidates; by other `objectives` than
        those in force, and with what each of the `heads` says, where that is asked for.
        """
        request = ranker_pb2.RankRequest(
            user=user_to_proto(user),
            ids=found.ids.tolist(),
            retrieval_scores=matrix_to_proto(found.scores, found.columns) if found.columns else None,
            model=model,
            feature_rows=feature_rows,
            objectives=objectives,
            heads=heads,
        )
        answer = await call(self._ranker.Rank, request, timeout=timeout, peer="ranker")
        values, features = floats_from_bytes(answer.scores), matrix_from_proto(answer.features)
        places = np.fromiter(answer.feature_places, np.intp, len(answer.feature_places))
        if values.size != found.ids.size or features.shape[0] != places.size:
            raise Unavailable(f"The ranker answered {values.size} scores for {found.ids.size} candidates.")
        weights, told = dict(answer.objectives), matrix_from_proto(answer.heads)
        if answer.heads.columns:
            if told.shape[0] != values.size or set(answer.heads.columns) != weights.keys():
                raise Unavailable("The ranker answered heads that do not fit its scores.")
            weights = {head: weights[head] for head in answer.heads.columns}
        return Scores(
            values,
            answer.model_version,
            answer.model_kind,
            features,
            tuple(answer.features.columns),
            places,
            weights,
            told,
        )

    async def objectives(self, timeout: float) -> Objectives:
        """The heads of the champion and what they weigh; Conflict when it has none."""
        request = ranker_pb2.ObjectivesRequest()
        return objectives_of(await call(self._ranker.GetObjectives, request, timeout=timeout, peer="ranker"))

    async def slate(
        self, ids: NDArray[np.uint64], scores: NDArray[np.float32], n: int, surface: str, seed: int, timeout: float
    ) -> Slate:
        """The n items to show; its rows are those of `ids`."""
        request = reranker_pb2.RerankRequest(
            ids=ids.tolist(), scores=scores.astype("<f4", copy=False).tobytes(), n=n, surface=surface, seed=seed
        )
        answer = await call(self._reranker.Rerank, request, timeout=timeout, peer="reranker")
        return _slate(answer, ids)

    async def models(self, peer: str, timeout: float) -> list[ModelCard]:
        """Versions that `peer`, retrieval or ranker, knows of."""
        stub = self._retrieval if peer == "retrieval" else self._ranker
        answer = await call(stub.ListModels, common_pb2.ListModelsRequest(), timeout=timeout, peer=peer)
        return [
            ModelCard(
                model.name, model.version, model.kind, tuple(model.aliases), model.loaded,
                dict(model.metrics), dict(model.lineage),
            )
            for model in answer.models
        ]  # fmt: skip

    async def health(self, peer: str, timeout: float) -> str:
        """SERVING, NOT_SERVING, or why no answer came."""
        check: grpc.aio.UnaryUnaryMultiCallable[health_pb2.HealthCheckRequest, health_pb2.HealthCheckResponse]
        check = self._channels[peer].unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = await call(check, health_pb2.HealthCheckRequest(), timeout=timeout, peer=peer)
        except CascadeError as error:
            return error.sentence
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)

    @property
    def names(self) -> tuple[str, ...]:
        """Every peer by name."""
        return tuple(self._channels)


def objectives_of(answer: common_pb2.Objectives) -> Objectives:
    """As ranker and trainer tell them."""
    weights, defaults = ({head: told[head] for head in answer.heads} for told in (answer.weights, answer.defaults))
    return Objectives(answer.model_version, answer.model_kind, tuple(answer.heads), weights, defaults)


def _candidates(answer: retrieval_pb2.RetrieveResponse) -> Candidates:
    ids = ids_from_proto(answer.ids)
    count = ids.size
    scores = matrix_from_proto(answer.scores) if answer.scores.rows else np.empty((count, 0), np.float32)
    proposed_by = np.fromiter(answer.proposed_by, np.uint32, len(answer.proposed_by))
    because = ids_from_proto(answer.because)
    if scores.shape[0] != count or proposed_by.size not in (0, count) or because.size not in (0, count):
        raise Unavailable("retrieval answered columns of different lengths.")
    return Candidates(
        ids=ids,
        scores=scores,
        columns=tuple(answer.scores.columns) if scores.shape[1] else (),
        proposed_by=proposed_by if proposed_by.size else np.zeros(count, np.uint32),
        because=because if because.size else np.zeros(count, np.uint64),
        reports=tuple(SourceReport(r.source, r.proposed, r.kept, r.milliseconds, r.error) for r in answer.reports),
        removed=_removed(answer.removed),
        versions=dict(answer.model_versions),
    )


def _removed(groups: Iterable[common_pb2.Removed]) -> tuple[Removed, ...]:
    return tuple(Removed(group.reason, ids_from_proto(group.ids)) for group in groups)


def _slate(answer: reranker_pb2.RerankResponse, ids: NDArray[np.uint64]) -> Slate:
    row_of = dict(zip(ids.tolist(), range(ids.size), strict=True))
    propensities = floats_from_bytes(answer.propensities)
    if not len(answer.ids) == len(answer.slots) == propensities.size or any(i not in row_of for i in answer.ids):
        raise Unavailable("The re-ranker answered a slate that does not fit its candidates.")
    rules = (RuleReport(r.rule, r.kept, _removed(r.removed), r.milliseconds) for r in answer.rules)
    rows = np.array([row_of[item] for item in answer.ids], np.intp)
    return Slate(rows, tuple(answer.slots), propensities, tuple(rules))
