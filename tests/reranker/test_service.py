"""The re-ranker over gRPC, with a catalog that comes from a features service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from services.pb import reranker_pb2, reranker_pb2_grpc
from services.reranker.service import SERVICE
from services.reranker.settings import RerankerSettings
from services.runtime.client import call, open_channel
from services.runtime.errors import InvalidArgument, SettingsError, Unavailable
from services.runtime.server import serving
from services.runtime.settings import read_settings
from tests.retrieval.features_peer import FeaturesPeer, item_rows

ROWS = item_rows(list(range(1, 41)), [["Drama"]] * 20 + [["Comedy"]] * 20, year=[1990.0] * 40, created_days=[0.0] * 40)


@pytest.fixture
async def peer() -> AsyncIterator[FeaturesPeer]:
    async with FeaturesPeer(ROWS).listening() as peer:
        yield peer


@pytest.fixture
async def stub(peer: FeaturesPeer) -> AsyncIterator[reranker_pb2_grpc.RerankerAsyncStub]:
    settings = RerankerSettings(port=0, features_url=peer.url)
    async with (
        serving(SERVICE, settings) as running,
        open_channel(f"grpc://{running.address}") as channel,
    ):
        yield reranker_pb2_grpc.RerankerStub(channel)


def request(n: int = 10, **fields: Any) -> reranker_pb2.RerankRequest:
    scores = np.linspace(1, 0, 40, dtype="<f4").tobytes()
    values: dict[str, Any] = {"ids": range(1, 41), "scores": scores, "n": n, "seed": 5, **fields}
    return reranker_pb2.RerankRequest(**values)


async def rerank(
    stub: reranker_pb2_grpc.RerankerAsyncStub, message: reranker_pb2.RerankRequest
) -> reranker_pb2.RerankResponse:
    return await call(stub.Rerank, message, timeout=5, peer="reranker")


async def test_a_slate_is_deterministic_in_its_request(stub: reranker_pb2_grpc.RerankerAsyncStub) -> None:
    first, second = await rerank(stub, request()), await rerank(stub, request())
    assert list(first.ids) == list(second.ids)
    assert first.propensities == second.propensities
    assert len(first.ids) == len(first.slots) == len(first.propensities) // 4 == 10
    assert sum(item > 20 for item in first.ids) >= 4
    assert [report.rule for report in first.rules] == [
        "diversity", "genre_cap", "creator_cap", "freshness", "exploration"
    ]  # fmt: skip
    assert any("Drama" in removed.reason for removed in first.rules[1].removed)


async def test_rules_off_is_the_plain_order(stub: reranker_pb2_grpc.RerankerAsyncStub) -> None:
    answer = await rerank(stub, request(rules_off=True))
    assert list(answer.ids) == list(range(1, 11))
    assert not answer.rules


async def test_unknown_items_keep_their_place_and_an_empty_list_is_an_empty_slate(
    stub: reranker_pb2_grpc.RerankerAsyncStub,
) -> None:
    scores = np.array([1, 0], "<f4").tobytes()
    assert list((await rerank(stub, request(ids=[777, 1], scores=scores))).ids) == [777, 1]
    assert list((await rerank(stub, request(ids=[], scores=b""))).ids) == []


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"n": 0}, "n must be"),
        ({"scores": b"\0\0\0"}, "multiple of 4"),
        ({"scores": b"\0\0\0\0"}, "40 ids came with 1 scores"),
        ({"ids": list(range(1, 1002))}, "1000 candidates at most"),
    ],
)
async def test_a_wrong_field_is_named(
    stub: reranker_pb2_grpc.RerankerAsyncStub, fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidArgument, match=named):
        await rerank(stub, request(**{"n": 10, **fields}))


async def test_without_a_catalog_it_does_not_start() -> None:
    settings = RerankerSettings(port=0, features_url="grpc://127.0.0.1:1", catalog_deadline_s=0.3)
    with pytest.raises(Unavailable, match="sent no catalog"):
        async with serving(SERVICE, settings):
            pass


def test_rules_are_set_one_by_one_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CASCADE_RERANKER_DIVERSITY__TRADE_OFF", "0.7")
    monkeypatch.setenv("CASCADE_RERANKER_EXPLORATION__ON", "false")
    slate = read_settings(RerankerSettings).slate
    assert slate.diversity.trade_off == 0.7
    assert slate.diversity.on
    assert not slate.exploration.on
    monkeypatch.setenv("CASCADE_RERANKER_DIVERSITY__METHOD", "magic")
    with pytest.raises(SettingsError, match="CASCADE_RERANKER_DIVERSITY"):
        read_settings(RerankerSettings)
