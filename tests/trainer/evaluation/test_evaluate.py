"""A whole evaluation, small: everything fitted, kept, told; what is there is not fitted again."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from rich.console import Console

from services.runtime.errors import NotFound, SettingsError
from services.trainer.data.imports import import_data
from services.trainer.data.synthetic import SyntheticConfig
from services.trainer.evaluation.evaluate import evaluate, imported
from services.trainer.evaluation.options import Options
from services.trainer.evaluation.ours import RETRIEVAL_ALONE, names
from services.trainer.evaluation.results import Folder
from services.trainer.peers import PEERS
from services.trainer.pipeline import Plan
from services.trainer.progress import Steps
from tests.integration.world import small_plan

P1 = Options(seeds=1, protocol="p1")


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A lake, and fits of seconds."""
    data_dir = tmp_path_factory.mktemp("evaluated")
    import_data("synthetic", data_dir, SyntheticConfig(users=120, items=100, events=3000, creators=20, days=60))
    return small_plan(data_dir)


@pytest.fixture(scope="module")
def folder(plan: Plan) -> Folder:
    """Evaluated under P1 with one seed."""
    evaluate(plan, _quiet(), P1)
    return Folder(plan.data_dir / "evaluation")


def _quiet() -> Steps:
    return Steps(Console(record=True, file=io.StringIO(), width=200))


def test_every_peer_and_every_stage_of_ours_is_judged_on_every_user(plan: Plan, folder: Folder) -> None:
    results = {result.model: result for result in folder.results()}
    assert set(results) == {*PEERS, *names(plan.kinds)}
    users = sum(1 for _ in imported(plan.data_dir / "lake").targets())
    assert {result.ranks.size for result in results.values()} == {users}
    assert len(results[RETRIEVAL_ALONE].sources) == 7
    # A ranker changes the order of the candidates, never which they are.
    for name in names(plan.kinds):
        np.testing.assert_array_equal(np.isinf(results[name].ranks), np.isinf(results[RETRIEVAL_ALONE].ranks))


def test_no_list_holds_what_the_user_knows_already(plan: Plan, folder: Folder) -> None:
    interactions = imported(plan.data_dir / "lake")
    ids, known = interactions.items["item_id"].to_numpy(), interactions.leave_last(1)
    users = [user for user, _, _ in interactions.targets()]
    for result in folder.results():
        for user, listed in zip(users, result.lists, strict=True):
            assert not np.isin(ids[listed[listed >= 0]], known.sequences[user]).any(), result.model


def test_the_list_and_the_rank_agree(plan: Plan, folder: Folder) -> None:
    interactions = imported(plan.data_dir / "lake")
    targets = np.array([item for _, item, _ in interactions.targets()], np.uint64)
    ids = interactions.items["item_id"].to_numpy()
    for result in folder.results():
        first = np.flatnonzero(result.ranks == 1)
        np.testing.assert_array_equal(ids[result.lists[first, 0]], targets[first])


def test_a_killed_evaluation_goes_on_with_what_is_missing(plan: Plan, folder: Folder) -> None:
    before = {file.name: file.stat().st_mtime_ns for file in (folder.path / "p1").iterdir()}
    (folder.path / "p1" / "bpr.0.npz").unlink()
    steps = _quiet()
    evaluate(plan, steps, P1)
    after = {file.name: file.stat().st_mtime_ns for file in (folder.path / "p1").iterdir()}
    assert {name for name in after if after[name] != before[name]} == {"bpr.0.npz"}
    said = steps.console.export_text()
    assert "P1: BPR-MF, seed 0" in said
    assert "our funnel" not in said


def test_the_report_is_made_again_without_a_fit(plan: Plan, folder: Folder) -> None:
    (folder.path / "evaluation.json").unlink()
    (folder.path / "p1" / "bpr.0.npz").rename(folder.path / "bpr")
    evaluate(plan, _quiet(), Options(report_only=True))
    told = json.loads((folder.path / "evaluation.json").read_text())
    assert "bpr" not in {model["name"] for model in told["models"]}
    (folder.path / "bpr").rename(folder.path / "p1" / "bpr.0.npz")


def test_what_came_through_the_stack_is_not_evaluated(plan: Plan) -> None:
    lake = plan.data_dir / "lake"
    before = imported(lake)
    (file,) = (lake / "events").glob("*.parquet")
    live = pl.read_parquet(file).tail(1).with_columns(
        event_id=pl.lit("later"), source=pl.lit("live"), item_id=pl.lit(int(before.items["item_id"][0]), pl.UInt64)
    )  # fmt: skip
    live.write_parquet(lake / "events" / "live.parquet")
    np.testing.assert_array_equal(imported(lake).item_ids, before.item_ids)
    (lake / "events" / "live.parquet").unlink()


def test_a_report_of_nothing_or_of_other_data_is_refused(plan: Plan, folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="holds no evaluation"):
        evaluate(plan, _quiet(), Options(report_only=True, out=tmp_path))
    import_data("synthetic", tmp_path, SyntheticConfig(users=20, items=30, events=400, seed=9))
    with pytest.raises(SettingsError, match="other data"):
        evaluate(small_plan(tmp_path), _quiet(), Options(report_only=True, out=folder.path))
