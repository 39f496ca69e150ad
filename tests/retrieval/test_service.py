"""The retrieval service over gRPC: real registry, real index, a catalog that comes from a features service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.spec import RETRIEVAL_COLUMNS
from services.pb import common_pb2, retrieval_pb2, retrieval_pb2_grpc
from services.retrieval.config import SOURCES
from services.retrieval.service import SERVICE
from services.retrieval.settings import RetrievalSettings
from services.runtime.client import call, open_channel
from services.runtime.convert import matrix_from_proto
from services.runtime.errors import InvalidArgument, NotFound
from services.runtime.registry import CHALLENGER, CHAMPION, Registry
from services.runtime.server import serving
from tests.retrieval.artifacts import MODELS
from tests.retrieval.features_peer import FeaturesPeer
from tests.retrieval.tiny_models import ITEMS, NEW, catalog


@dataclass
class Stack:
    """A running service and what it hangs on."""

    stub: retrieval_pb2_grpc.RetrievalAsyncStub
    peer: FeaturesPeer
    registry: Registry

    async def retrieve(self, n: int = 20, history: tuple[int, ...] = (3, 6, 9), **fields: Any) -> Any:
        user = common_pb2.UserState(
            user_id=1, history=history, history_times=range(len(history)), history_values=[5.0] * len(history),
            seen=history,
        )  # fmt: skip
        request = retrieval_pb2.RetrieveRequest(user=user, n=n, **fields)
        return await call(self.stub.Retrieve, request, timeout=30, peer="retrieval")


@asynccontextmanager
async def running(data_dir: Path, **settings: Any) -> AsyncIterator[Stack]:
    async with FeaturesPeer(catalog()).listening() as peer:
        options = RetrievalSettings(
            CASCADE_DATA_DIR=data_dir, port=0, features_url=peer.url, **{"poll_seconds": 0.05, **settings}
        )
        async with (
            serving(SERVICE, options) as service,
            open_channel(f"grpc://{service.address}") as channel,
        ):
            yield Stack(retrieval_pb2_grpc.RetrievalStub(channel), peer, Registry.open(data_dir))


@pytest.fixture
async def stack(published: Path) -> AsyncIterator[Stack]:
    async with running(published) as stack:
        yield stack


async def eventually(condition: Any, deadline_s: float = 10.0) -> Any:
    """The first true answer of an async condition."""
    async with asyncio.timeout(deadline_s):
        while True:
            if found := await condition():
                return found
            await asyncio.sleep(0.01)


async def test_candidates_come_as_columns_with_versions_and_reports(stack: Stack) -> None:
    answer = await stack.retrieve(n=30)
    assert len(set(answer.ids)) == 30
    assert not {3, 6, 9} & set(answer.ids)
    scores = matrix_from_proto(answer.scores)
    assert scores.shape == (30, len(RETRIEVAL_COLUMNS))
    assert tuple(answer.scores.columns) == RETRIEVAL_COLUMNS
    assert len(answer.proposed_by) == len(answer.because) == 30
    assert set(answer.model_versions) == set(MODELS)
    assert [report.source for report in answer.reports] == list(SOURCES)
    assert not any(report.error for report in answer.reports)
    (seen,) = [removed for removed in answer.removed if removed.reason == "seen"]
    assert set(seen.ids) <= {3, 6, 9}


async def test_categories_context_and_exclusions_travel(stack: Stack) -> None:
    answer = await stack.retrieve(n=20, categories=["Comedy"], exclude=[1], context_item=4)
    assert {item % 3 for item in answer.ids} == {1}
    assert not {1, 4} & set(answer.ids)


async def test_scores_of_a_given_list_keep_order_and_length(stack: Stack) -> None:
    request = retrieval_pb2.ScoreItemsRequest(user=common_pb2.UserState(user_id=1), ids=[30, 9999, 5])
    answer = await call(stack.stub.ScoreItems, request, timeout=30, peer="retrieval")
    assert list(answer.ids) == [30, 9999, 5]
    scores = matrix_from_proto(answer.scores)
    assert np.isnan(scores[1]).all()
    assert np.isfinite(scores[[0, 2]]).all()


async def test_similar_popular_and_latest(stack: Stack) -> None:
    similar = await call(stack.stub.Similar, retrieval_pb2.SimilarRequest(item_id=6, n=5), timeout=30, peer="retrieval")
    assert {item % 3 for item in similar.ids} == {0}
    with pytest.raises(NotFound, match="No source knows"):
        await call(stack.stub.Similar, retrieval_pb2.SimilarRequest(item_id=4242, n=5), timeout=30, peer="retrieval")
    popular = await call(stack.stub.Popular, retrieval_pb2.PopularRequest(n=7), timeout=30, peer="retrieval")
    assert len(popular.ids) == 7
    latest = await call(stack.stub.Latest, retrieval_pb2.LatestRequest(n=3), timeout=30, peer="retrieval")
    assert list(latest.ids) == [93, 92, 91]


@pytest.mark.parametrize("n", [0, 1001])
async def test_a_wrong_n_is_named(stack: Stack, n: int) -> None:
    with pytest.raises(InvalidArgument, match="n must be between 1 and 1000"):
        await stack.retrieve(n=n)


async def test_too_long_a_list_and_a_ragged_history_are_named(stack: Stack) -> None:
    with pytest.raises(InvalidArgument, match="1000 items at most"):
        request = retrieval_pb2.ScoreItemsRequest(ids=range(1, 1002))
        await call(stack.stub.ScoreItems, request, timeout=30, peer="retrieval")
    with pytest.raises(InvalidArgument, match="history"):
        ragged = retrieval_pb2.RetrieveRequest(user=common_pb2.UserState(history=[1, 2]), n=3)
        await call(stack.stub.Retrieve, ragged, timeout=30, peer="retrieval")


async def test_changes_of_the_catalog_are_followed(stack: Stack) -> None:
    first = (await stack.retrieve()).ids[0]
    stack.peer.send(deleted=[first])

    async def gone() -> bool:
        return first not in (await stack.retrieve(n=ITEMS + len(NEW))).ids

    assert await eventually(gone)


async def test_every_version_is_listed_and_the_loaded_ones_are_marked(stack: Stack) -> None:
    listed = await call(stack.stub.ListModels, common_pb2.ListModelsRequest(), timeout=30, peer="retrieval")
    assert {model.name for model in listed.models} == set(MODELS)
    assert all(model.loaded and "champion" in model.aliases for model in listed.models)


async def test_a_new_champion_is_swapped_in_without_a_failed_request(artifacts: Path, data_dir: Path) -> None:
    async with running(data_dir) as stack:
        assert dict((await stack.retrieve()).model_versions) == dict.fromkeys(MODELS, "1")
        stack.registry.publish("two_tower", artifacts / "two_tower", CHAMPION)

        async def swapped() -> bool:
            answer = await stack.retrieve()
            assert len(answer.ids) == 20
            assert not answer.reports[0].error
            return bool(answer.model_versions["two_tower"] == "2")

        assert await eventually(swapped)


async def test_no_request_fails_while_three_models_move_together(artifacts: Path, data_dir: Path) -> None:
    async with running(data_dir) as stack:
        registry = stack.registry
        other = {name: registry.publish(name, artifacts / name, CHALLENGER) for name in MODELS}
        sets = (dict.fromkeys(MODELS, "1"), other)
        answered: list[tuple[str, dict[str, str]]] = []
        over = asyncio.Event()

        def move(champion: dict[str, str], challenger: dict[str, str]) -> None:
            for name in MODELS:
                registry.set_alias(name, CHALLENGER, challenger[name])
                registry.set_alias(name, CHAMPION, champion[name])

        async def asking(model: str) -> None:
            while not over.is_set():
                answer = await stack.retrieve(model=model)
                assert len(answer.ids) == 20
                assert not any(report.error for report in answer.reports)
                answered.append((model, dict(answer.model_versions)))

        async def served(model: str, versions: dict[str, str]) -> bool:
            try:
                return dict((await stack.retrieve(model=model)).model_versions) == versions
            except NotFound:
                return False

        await eventually(partial(served, "challenger", other))
        async with asyncio.TaskGroup() as tasks:
            for model in ("champion", "challenger"):
                tasks.create_task(asking(model))
            for turn in range(20):
                champion, challenger = sets[1 - turn % 2], sets[turn % 2]
                await asyncio.to_thread(move, champion, challenger)
                await eventually(partial(served, "champion", champion))
                await eventually(partial(served, "challenger", challenger))
            over.set()
    for model in ("champion", "challenger"):
        seen = [versions for asked, versions in answered if asked == model]
        assert all(versions in sets for versions in seen), "Models of two releases answered together."
        assert all(versions in seen for versions in sets)


async def test_a_challenger_scores_a_list_too_and_says_what_was_said_of_it(artifacts: Path, data_dir: Path) -> None:
    async with running(data_dir) as stack:
        for name in MODELS:
            stack.registry.publish(name, artifacts / name, CHALLENGER, {"gate": "passed"})
        request = retrieval_pb2.ScoreItemsRequest(user=common_pb2.UserState(user_id=1), ids=[30], model="challenger")

        async def loaded() -> bool:
            try:
                answer = await call(stack.stub.ScoreItems, request, timeout=30, peer="retrieval")
            except NotFound:
                return False
            return dict(answer.model_versions) == dict.fromkeys(MODELS, "2")

        assert await eventually(loaded)
        listed = await call(stack.stub.ListModels, common_pb2.ListModelsRequest(), timeout=30, peer="retrieval")
    told = {(model.name, model.version): (model.loaded, model.lineage.get("gate", "")) for model in listed.models}
    assert told["two_tower", "2"] == (True, "passed")
    assert told["two_tower", "1"] == (True, "")


async def test_without_a_champion_it_does_not_start(tmp_path: Path) -> None:
    Registry.open(tmp_path)
    with pytest.raises(NotFound, match="has no 'champion' of 'two_tower'"):
        async with running(tmp_path):
            pass
