"""The ranker through real gRPC, with a real catalog stream, registry and models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from models.ranking import load_ranker
from models.spec import RETRIEVAL_COLUMNS
from services.pb import common_pb2, features_pb2, ranker_pb2, ranker_pb2_grpc
from services.ranker.service import SERVICE
from services.ranker.settings import RankerSettings
from services.runtime.client import call, open_channel
from services.runtime.convert import matrix_from_proto, matrix_to_proto, user_to_proto
from services.runtime.errors import InvalidArgument, NotFound, SettingsError, TooLarge, Unavailable
from services.runtime.registry import Registry
from services.runtime.server import serving
from tests.models.small_catalog import catalog, retrieval_scores, user
from tests.ranker.catalog_peer import CatalogPeer, catalog_peer
from tests.ranker.conftest import Published

DEADLINE_S = 20.0


@asynccontextmanager
async def running(data_dir: Path) -> AsyncIterator[tuple[ranker_pb2_grpc.RankerAsyncStub, CatalogPeer]]:
    async with (
        catalog_peer(catalog()) as (url, peer),
        serving(
            SERVICE,
            RankerSettings(data_dir=data_dir, port=0, features_url=url, poll_seconds=0.05, drain_seconds=0),
        ) as service,
        open_channel(f"grpc://{service.address}") as channel,
    ):
        yield ranker_pb2_grpc.RankerStub(channel), peer


async def rank(stub: ranker_pb2_grpc.RankerAsyncStub, ids: list[int], **fields: Any) -> ranker_pb2.RankResponse:
    request = ranker_pb2.RankRequest(user=user_to_proto(user()), ids=ids, **fields)
    return await call(stub.Rank, request, timeout=DEADLINE_S, peer="ranker")


def rows_of(answer: ranker_pb2.RankResponse) -> NDArray[np.float32]:
    """Every row, in the order of the request."""
    return matrix_from_proto(answer.features)[np.argsort(answer.feature_places)]


def scores_of(answer: ranker_pb2.RankResponse) -> NDArray[np.float32]:
    return np.frombuffer(answer.scores, "<f4")


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Waits for a condition, with a deadline."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(AssertionError), wait=wait_fixed(0.01), stop=stop_after_delay(DEADLINE_S)
    ):
        with attempt:
            assert await holds()


async def found(stub: ranker_pb2_grpc.RankerAsyncStub, model: str) -> bool:
    try:
        await rank(stub, [1], model=model)
    except NotFound:
        return False
    return True


async def test_scores_are_those_of_the_artifact_on_the_rows_it_returns(published: Published) -> None:
    ids = [5, 3, 999_999, 8]
    matrix = matrix_to_proto(retrieval_scores(4), RETRIEVAL_COLUMNS)
    async with running(published.data_dir) as (stub, _):
        answer = await rank(stub, ids, retrieval_scores=matrix, feature_rows=1000)
    ranker = load_ranker(published.drafts / "trees")
    assert tuple(answer.features.columns) == ranker.spec.columns
    rows = rows_of(answer)
    np.testing.assert_array_equal(rows[:, : len(RETRIEVAL_COLUMNS)], retrieval_scores(4))
    np.testing.assert_array_equal(scores_of(answer), ranker.score(rows))
    assert list(answer.unknown) == [999_999]
    assert (answer.model_version, answer.model_kind) == ("1", "lambdamart")


async def test_feature_rows_are_those_of_the_best(published: Published) -> None:
    async with running(published.data_dir) as (stub, _):
        answer = await rank(stub, [1, 2, 3, 4, 5], feature_rows=2)
    assert list(answer.feature_places) == np.argsort(-scores_of(answer), kind="stable")[:2].tolist()
    assert matrix_from_proto(answer.features).shape[0] == 2


async def test_order_and_length_are_kept_and_unknown_items_get_a_score(published: Published) -> None:
    async with running(published.data_dir) as (stub, _):
        forward = await rank(stub, [1, 2, 777_777, 4])
        backward = await rank(stub, [4, 777_777, 2, 1])
        nothing = await rank(stub, [])
    assert np.isfinite(scores_of(forward)).all()
    np.testing.assert_array_equal(scores_of(forward), scores_of(backward)[::-1])
    assert not forward.HasField("features")
    assert nothing.scores == b""


async def test_retrieval_columns_are_taken_by_name(published: Published) -> None:
    scores = retrieval_scores(3)
    turned = matrix_to_proto(scores[:, ::-1], [*RETRIEVAL_COLUMNS[::-1]])
    async with running(published.data_dir) as (stub, _):
        straight = await rank(stub, [1, 2, 3], retrieval_scores=matrix_to_proto(scores, RETRIEVAL_COLUMNS))
        answer = await rank(stub, [1, 2, 3], retrieval_scores=turned)
        some = await rank(
            stub, [1, 2, 3], retrieval_scores=matrix_to_proto(scores[:, :1], ["popularity"]), feature_rows=1000
        )
    assert answer.scores == straight.scores
    rows = rows_of(some)
    np.testing.assert_array_equal(rows[:, RETRIEVAL_COLUMNS.index("popularity")], scores[:, 0])
    assert np.isnan(rows[:, RETRIEVAL_COLUMNS.index("two_tower")]).all()


async def test_bad_requests_are_refused_with_the_field(published: Published) -> None:
    async with running(published.data_dir) as (stub, _):
        with pytest.raises(TooLarge, match="ids has 1001"):
            await rank(stub, [1] * 1001)
        with pytest.raises(InvalidArgument, match="retrieval_scores has 2 rows for 1 ids"):
            await rank(stub, [1], retrieval_scores=matrix_to_proto(retrieval_scores(2), RETRIEVAL_COLUMNS))
        with pytest.raises(NotFound, match="no model 'challenger' in memory, only: champion, 1"):
            await rank(stub, [1], model="challenger")
        with pytest.raises(NotFound, match="no model '99'"):
            await rank(stub, [1], model="99")


async def test_the_version_is_chosen_per_request(published: Published) -> None:
    published.registry.set_alias("ranker", "challenger", "2")
    async with running(published.data_dir) as (stub, _):
        answers = [await rank(stub, [1, 2], model=model) for model in ("", "champion", "challenger", "1", "2")]
        listed = await call(stub.ListModels, common_pb2.ListModelsRequest(), timeout=DEADLINE_S, peer="ranker")
    assert [answer.model_version for answer in answers] == ["1", "1", "2", "1", "2"]
    assert [answer.model_kind for answer in answers][2] == "dlrm"
    assert [(model.version, list(model.aliases), model.loaded) for model in listed.models] == [
        ("2", ["challenger"], True),
        ("1", ["champion"], True),
    ]
    assert "held_out_ndcg_at_10" in listed.models[0].metrics


async def test_a_new_champion_takes_over_and_the_old_one_stays_by_number(published: Published) -> None:
    async with running(published.data_dir) as (stub, _):
        assert (await rank(stub, [1])).model_version == "1"
        published.registry.set_alias("ranker", "champion", "2")

        async def swapped() -> bool:
            return (await rank(stub, [1])).model_version == "2"

        await until(swapped)
        assert (await rank(stub, [1], model="1")).model_version == "1"


async def test_no_request_fails_while_aliases_move(published: Published) -> None:
    third = published.registry.publish("ranker", published.drafts / "trees")
    async with running(published.data_dir) as (stub, _):
        answered: list[tuple[str, str]] = []
        over = asyncio.Event()

        async def asking(model: str) -> None:
            while not over.is_set():
                answered.append((model, (await rank(stub, [1, 2, 3], model=model)).model_version))

        async def served(model: str, version: str) -> bool:
            return (await rank(stub, [1], model=model)).model_version == version

        published.registry.set_alias("ranker", "challenger", "2")
        await until(lambda: found(stub, "challenger"))
        async with asyncio.TaskGroup() as tasks:
            for model in ("champion", "challenger"):
                tasks.create_task(asking(model))
            for move in range(20):
                champion, challenger = (third, "2") if move % 2 else ("2", third)
                await asyncio.to_thread(published.registry.set_alias, "ranker", "previous", challenger)
                await asyncio.to_thread(published.registry.set_alias, "ranker", "champion", champion)
                await asyncio.to_thread(published.registry.set_alias, "ranker", "challenger", challenger)
                await until(partial(served, "champion", champion))
                await until(partial(served, "challenger", challenger))
            over.set()
    assert {version for model, version in answered if model == "champion"} <= {"1", "2", third}
    assert {version for model, version in answered if model == "challenger"} == {"2", third}


async def test_what_gate_and_rollout_said_travels_with_the_version(published: Published) -> None:
    published.registry.tag("ranker", "1", "gate", "passed")
    published.registry.tag("ranker", "1", "rollout", "champion")
    async with running(published.data_dir) as (stub, _):
        listed = await call(stub.ListModels, common_pb2.ListModelsRequest(), timeout=DEADLINE_S, peer="ranker")
    told = {model.version: dict(model.lineage) for model in listed.models}
    assert (told["1"]["gate"], told["1"]["rollout"]) == ("passed", "champion")
    assert "gate" not in told["2"]


async def test_a_changed_catalog_is_what_is_scored(published: Published) -> None:
    async with running(published.data_dir) as (stub, peer):
        assert list((await rank(stub, [1, 2])).unknown) == []
        await peer.changes.put(features_pb2.ItemsUpdate(deleted=[2]))

        async def gone() -> bool:
            return list((await rank(stub, [1, 2])).unknown) == [2]

        await until(gone)


async def test_without_a_champion_the_start_fails_with_what_to_do(tmp_path: Path) -> None:
    Registry.open(tmp_path)
    with pytest.raises(SettingsError, match="no champion of 'ranker'.*python -m services.trainer train"):
        async with running(tmp_path):
            pass


async def test_without_features_the_start_fails_with_their_address(published: Published) -> None:
    settings = RankerSettings(
        data_dir=published.data_dir, port=0, features_url="grpc://127.0.0.1:1", catalog_seconds=0.2
    )
    with pytest.raises(Unavailable, match="127.0.0.1:1"):
        async with serving(SERVICE, settings):
            pass
