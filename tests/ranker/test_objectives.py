"""Objectives in rankers that serve: every one follows the registry's word without a restart, and finds it after one."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from structlog.testing import capture_logs

from models.list_fit import ListFitConfig
from models.mmoe import MmoeConfig
from models.ranking import load_ranker
from services.pb import common_pb2, ranker_pb2, ranker_pb2_grpc
from services.runtime.client import call
from services.runtime.convert import matrix_from_proto
from services.runtime.errors import Conflict, InvalidArgument
from services.runtime.objectives import MODEL, NOTE
from services.trainer.ranking import NetworkConfig, fit_ranker
from services.trainer.rollout.objectives import set_objectives
from tests.contracts.ranker import separable_dataset
from tests.ranker.conftest import Published
from tests.ranker.test_service import DEADLINE_S, rank, rows_of, running, scores_of, until
from tests.ranker.test_versions import started

IDS = list(range(1, 31))
HEADS = ("click", "like", "love", "return")
DEFAULTS = {"click": 1.0, "like": 0.0, "love": 0.0, "return": 0.0}
LIKED = {"click": 0.5, "like": 2.0, "love": 0.0, "return": -1.0}


@pytest.fixture(scope="session")
def mmoe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifact of a small MMoE."""
    folder = tmp_path_factory.mktemp("mmoe") / "ranker"
    shape = MmoeConfig(HEADS, (1.0, 0.0, 0.0, 0.0), 2, experts=2, expert=(8,), tower=(4,))
    fit_ranker("mmoe", separable_dataset(), folder, config=NetworkConfig(shape, ListFitConfig(epochs=1)))
    return folder


@pytest.fixture
def weighable(published: Published, mmoe: Path) -> Published:
    """The same registry with MMoE, version 3, as its champion."""
    shutil.copytree(mmoe, published.drafts / "mmoe")
    published.registry.publish("ranker", published.drafts / "mmoe", "champion")
    return published


def by_hand(folder: Path, rows: NDArray[np.float32], weights: Mapping[str, float]) -> NDArray[np.float32]:
    """Scores of rows by an artifact under these weights."""
    ranker = load_ranker(folder)
    assert ranker.heads is not None
    return ranker.heads.combined(ranker.logits(rows), weights)


def weighing(stub: ranker_pb2_grpc.RankerAsyncStub, weights: Mapping[str, float]) -> Callable[[], Awaitable[bool]]:
    """Whether a ranker scores by these weights."""

    async def holds() -> bool:
        return dict((await rank(stub, IDS)).objectives) == weights

    return holds


async def told(stub: ranker_pb2_grpc.RankerAsyncStub) -> common_pb2.Objectives:
    return await call(stub.GetObjectives, ranker_pb2.ObjectivesRequest(), timeout=DEADLINE_S, peer="ranker")


async def test_every_ranker_follows_new_weights_and_finds_them_after_a_restart(weighable: Published) -> None:
    async with running(weighable.data_dir) as (first, _), running(weighable.data_dir) as (second, _):
        assert dict((await rank(first, IDS)).objectives) == DEFAULTS
        await asyncio.to_thread(set_objectives, weighable.registry, LIKED)
        for stub in (first, second):
            await until(weighing(stub, LIKED))
            answer = await rank(stub, IDS, feature_rows=1000)
            np.testing.assert_array_equal(scores_of(answer), by_hand(weighable.drafts / "mmoe", rows_of(answer), LIKED))
    async with running(weighable.data_dir) as (restarted, _):
        found = await told(restarted)
    assert (dict(found.weights), dict(found.defaults), list(found.heads)) == (LIKED, DEFAULTS, list(HEADS))
    assert (found.model_version, found.model_kind) == ("3", "mmoe")


async def test_by_default_the_score_is_what_the_artifact_says(weighable: Published) -> None:
    async with running(weighable.data_dir) as (stub, _):
        answer = await rank(stub, IDS, feature_rows=1000)
    ranker = load_ranker(weighable.drafts / "mmoe")
    np.testing.assert_allclose(scores_of(answer), ranker.score(rows_of(answer)), atol=1e-6)


async def test_a_request_may_bring_weights_of_its_own_and_changes_nothing(weighable: Published) -> None:
    async with running(weighable.data_dir) as (stub, _):
        plain = await rank(stub, IDS)
        asked = await rank(stub, IDS, objectives={"like": 1.0}, heads=True, feature_rows=1000)
        again = await rank(stub, IDS)
    assert (dict(asked.objectives), dict(again.objectives)) == (DEFAULTS | {"click": 0.0, "like": 1.0}, DEFAULTS)
    assert asked.scores != plain.scores == again.scores
    heads = matrix_from_proto(asked.heads)
    assert (tuple(asked.heads.columns), heads.shape) == (HEADS, (30, 4))
    assert heads[:, 0].sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(np.log(heads[:, 1]), scores_of(asked), atol=1e-4)
    assert not plain.HasField("heads")


async def test_a_version_with_one_score_scores_on_whatever_is_weighed(weighable: Published) -> None:
    set_objectives(weighable.registry, LIKED)
    weighable.registry.set_alias("ranker", "challenger", "1")
    async with running(weighable.data_dir) as (stub, _):
        answer = await rank(stub, IDS, model="1", heads=True)
        assert (answer.model_kind, dict(answer.objectives), answer.HasField("heads")) == ("lambdamart", {}, False)
        with pytest.raises(Conflict, match=r"version 1 \(lambdamart\).*Promote a version of kind mmoe"):
            await rank(stub, IDS, model="1", objectives={"click": 1.0})
        with pytest.raises(InvalidArgument, match="There is no head 'buy'"):
            await rank(stub, IDS, objectives={"buy": 1.0})


async def test_a_champion_without_heads_tells_what_to_promote(published: Published) -> None:
    async with running(published.data_dir) as (stub, _):
        with pytest.raises(Conflict, match="has no heads to weigh.*Promote a version of kind mmoe"):
            await told(stub)


def test_a_note_that_nobody_can_read_leaves_the_weights_as_they_were(weighable: Published) -> None:
    set_objectives(weighable.registry, LIKED)
    versions = started(weighable)
    for text in ("{", "[1]", '{"click": "much"}', '{"click": NaN}'):
        weighable.registry.note(MODEL, NOTE, text)
        with capture_logs() as heard:
            assert versions.refresh()
        assert [entry["event"] for entry in heard] == ["objectives not read"]
        assert versions.objectives == LIKED


def test_weights_outlive_a_champion_without_heads(weighable: Published) -> None:
    set_objectives(weighable.registry, LIKED)
    versions = started(weighable)
    weighable.registry.set_alias("ranker", "champion", "1")
    versions.refresh()
    assert versions.choose("").ranker.heads is None
    weighable.registry.set_alias("ranker", "champion", "3")
    versions.refresh()
    assert versions.objectives == LIKED


def test_setting_checks_against_what_serves(weighable: Published) -> None:
    registry = weighable.registry
    set_objectives(registry, LIKED)
    with pytest.raises(InvalidArgument, match="There is no head 'buy'; there are click, like, love, return"):
        set_objectives(registry, {"buy": 1.0})
    with pytest.raises(InvalidArgument, match="At least one head"):
        set_objectives(registry, {"like": 0.0})
    registry.set_alias("ranker", "champion", "1")
    with pytest.raises(Conflict, match=r"version 1 \(lambdamart\)"):
        set_objectives(registry, {"click": 1.0})
    registry.set_alias("ranker", "champion", "3")
    assert started(weighable).objectives == LIKED
