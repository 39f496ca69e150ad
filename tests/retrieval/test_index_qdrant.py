"""The Qdrant client's code path, over its exact local engine, over gRPC in front of that, and over a server if any."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest
from qdrant_client import QdrantClient
from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc

from services.retrieval.index import VectorIndex, open_index
from services.retrieval.index.qdrant import QdrantIndex
from services.runtime.errors import Unavailable
from tests.contracts.vector_index import DIMENSION, VectorIndexContract, unit_vectors

# The local engine says that it is exact and keeps no payload indexes.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect:UserWarning"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact:UserWarning"),
]

SERVER = os.environ.get("CASCADE_TEST_QDRANT_URL", "")
"""qdrant://host:6334 or qdrant+http://host:6333 of a server that the contract may use."""


@pytest.fixture
def client() -> Iterator[QdrantClient]:
    client = QdrantClient(":memory:", force_disable_check_same_thread=True)
    yield client
    client.close()


class PointsDoor:
    """Qdrant's Points.Query over real gRPC, answered by the client library's local engine."""

    def __init__(self, client: QdrantClient) -> None:
        self._client = client

    def query(self, request: wire.QueryPoints, context: Any) -> wire.QueryResponse:
        found = self._client.query_points(
            request.collection_name,
            query=list(request.query.nearest.dense.data),
            limit=request.limit,
            query_filter=GrpcToRest.convert_filter(request.filter),
            with_payload=request.with_payload.enable,
        )
        return wire.QueryResponse(result=[RestToGrpc.convert_scored_point(point) for point in found.points])

    def query_batch(self, request: wire.QueryBatchPoints, context: Any) -> wire.QueryBatchResponse:
        answers = [self.query(one, context).result for one in request.query_points]
        return wire.QueryBatchResponse(result=[wire.BatchResult(result=answer) for answer in answers])

    def handler(self) -> grpc.GenericRpcHandler:
        query = grpc.unary_unary_rpc_method_handler(
            self.query, wire.QueryPoints.FromString, wire.QueryResponse.SerializeToString
        )
        batch = grpc.unary_unary_rpc_method_handler(
            self.query_batch, wire.QueryBatchPoints.FromString, wire.QueryBatchResponse.SerializeToString
        )
        return grpc.method_handlers_generic_handler("qdrant.Points", {"Query": query, "QueryBatch": batch})


class TestQdrantClient(VectorIndexContract):
    @pytest.fixture
    def index(self, client: QdrantClient) -> VectorIndex:
        return QdrantIndex(client, "items", DIMENSION)


class TestQdrantRawStub(VectorIndexContract):
    @pytest.fixture
    def index(self, client: QdrantClient) -> Iterator[VectorIndex]:
        server = grpc.server(futures.ThreadPoolExecutor(1))
        server.add_generic_rpc_handlers((PointsDoor(client).handler(),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield QdrantIndex(client, "items", DIMENSION, channel=channel)
        server.stop(0).wait()


@pytest.mark.skipif(not SERVER, reason="no Qdrant server: set CASCADE_TEST_QDRANT_URL to run the contract against one")
class TestQdrantServer(VectorIndexContract):
    @pytest.fixture
    def index(self) -> Iterator[VectorIndex]:
        index = open_index(f"{SERVER}/contract-{uuid.uuid4().hex}", DIMENSION)
        yield index
        index.close()


@pytest.mark.parametrize("scheme", ["qdrant", "qdrant+http"])
def test_a_server_that_is_not_there_is_unavailable(scheme: str) -> None:
    with pytest.raises(Unavailable, match="does not answer"):
        open_index(f"{scheme}://127.0.0.1:1/items", DIMENSION, timeout_s=1.0)


def test_a_server_that_went_away_is_unavailable(client: QdrantClient) -> None:
    client.create_collection("items", vectors_config={})
    with grpc.insecure_channel("127.0.0.1:1") as channel:
        index = QdrantIndex(client, "items", DIMENSION, channel=channel, timeout_s=1.0)
        with pytest.raises(Unavailable):
            index.search(unit_vectors(1)[0], 3)
