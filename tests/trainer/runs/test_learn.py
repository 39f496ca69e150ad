"""A continuous run from clicks to a challenger: what it publishes, refuses, repeats and goes on with."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from models.artifact import read_manifest
from models.ranking import load_ranker
from models.user_tower import UserTower
from services.runtime.errors import Conflict
from services.runtime.registry import CHALLENGER, CHAMPION, Registry
from services.trainer.gate import GateConfig
from services.trainer.progress import Steps
from services.trainer.rollout.release import start_release
from services.trainer.runs import learn as learning
from services.trainer.runs.folder import Runs
from services.trainer.runs.gathering import NothingToLearn
from services.trainer.runs.learn import learn
from services.trainer.runs.record import Run
from tests.trainer.runs import world

IMPOSSIBLE = GateConfig(require="better", ndcg_tolerance=0.0, skew_share=0.0, min_clicks=10**6, when_undecided="refuse")


def ranker_metrics(registry: Registry, version: str) -> dict[str, float]:
    """What was measured of it but times."""
    metrics = registry.resolve("ranker", version).manifest.metrics
    return {name: value for name, value in metrics.items() if "latency" not in name}


def killed_after(stage: str, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run whose process ended right behind a stage."""

    class Killed(BaseException):
        """Not an error that a run would note."""

    def cut(*_: object) -> None:
        raise Killed

    names = [text.partition(":")[0] for text in learning.STAGES]
    done = names[: names.index(stage) + 1]
    stages = {text: do if text.partition(":")[0] in done else cut for text, do in learning.STAGES.items()}
    with monkeypatch.context() as patched:
        patched.setattr(learning, "STAGES", stages)
        with pytest.raises(Killed):
            learn(world.plan(data_dir), Steps())
    return Runs(data_dir).recent()[0]


def test_what_passed_the_gate_is_published_with_its_lineage_and_becomes_challenger(data_dir: Path) -> None:
    registry = Registry.open(data_dir)
    run = learn(world.plan(data_dir), Steps())
    assert (run.state, run.versions, run.releases) == ("published", {"ranker": "2"}, ["ranker"])
    found = registry.resolve("ranker", CHALLENGER)
    assert (found.version, found.tags["gate"], found.tags["run"]) == ("2", "passed", run.run_id)
    assert found.manifest.lineage["data_snapshot"] == run.dataset
    assert found.manifest.lineage["full_at"] == world.FULL_AT.isoformat(timespec="microseconds")
    assert registry.version_of("ranker", CHAMPION) == "1"
    assert Runs(data_dir).recent() == [run]


def test_the_same_lake_and_seed_give_the_same_model_and_figures(built: Path, tmp_path: Path) -> None:
    figures, models = [], []
    for name in ("one", "two"):
        data_dir = shutil.copytree(built, tmp_path / name)
        run = learn(world.plan(data_dir), Steps())
        registry = Registry.open(data_dir)
        figures.append((run.dataset, ranker_metrics(registry, run.versions["ranker"])))
        models.append(read_manifest(registry.resolve("ranker", run.versions["ranker"]).folder).files["model.onnx"])
    assert figures[0] == figures[1]
    assert models[0] == models[1]


def test_what_the_gate_refuses_is_kept_with_the_reason_and_serves_nobody(data_dir: Path) -> None:
    run = learn(replace(world.plan(data_dir), gate=IMPOSSIBLE), Steps())
    assert run.state == "refused"
    assert run.reason.startswith("ranker: ")
    registry = Registry.open(data_dir)
    assert registry.aliases("ranker") == {CHAMPION: "1"}
    assert registry.resolve("ranker", "2").tags["gate"].startswith("refused: ")


def test_a_second_run_finds_nothing_new(data_dir: Path) -> None:
    learn(replace(world.plan(data_dir), promote=True), Steps())
    with pytest.raises(NothingToLearn, match="Nothing was shown since"):
        learn(replace(world.plan(data_dir), promote=True), Steps())


def test_only_somebody_who_asked_is_told_of_a_run_that_had_nothing_to_learn(data_dir: Path) -> None:
    plan = world.plan(data_dir, least_clicks=10**6)
    for trigger, told in (("schedule", []), ("request", ["refused"])):
        with pytest.raises(NothingToLearn, match="clicks are too few"):
            learn(replace(plan, trigger=trigger), Steps())
        assert [run.state for run in Runs(data_dir).recent()] == told


def test_nothing_is_learned_while_a_release_is_on_its_way(data_dir: Path) -> None:
    learn(world.plan(data_dir), Steps())
    world.show_more(data_dir, 1)
    with pytest.raises(Conflict, match="A release is on its way"):
        learn(world.plan(data_dir), Steps())


def test_a_promotion_that_was_killed_before_its_aliases_is_finished(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """Not an error that a run would note."""

    def cut(*_: object) -> None:
        raise Killed

    registry, plan = Registry.open(data_dir), replace(world.plan(data_dir), promote=True)
    with monkeypatch.context() as patched:
        patched.setattr(Registry, "set_alias", cut)
        with pytest.raises(Killed):
            learn(plan, Steps())
    assert (Runs(data_dir).recent()[0].state, registry.version_of("ranker")) == ("running", "1")
    run = learn(plan, Steps())
    assert (run.state, registry.version_of("ranker")) == ("published", run.versions["ranker"])


def test_a_release_that_somebody_began_meanwhile_goes_first(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry.open(data_dir)
    killed_after("gate", data_dir, monkeypatch)
    first = registry.publish("ranker", registry.resolve("ranker", CHAMPION).folder)
    start_release(registry, {"ranker": first})
    run = learn(world.plan(data_dir), Steps())
    assert (run.state, run.releases, run.versions) == ("refused", [], {"ranker": "3"})
    assert run.reason.startswith("A release is on its way: ranker 2")
    assert registry.version_of("ranker", CHALLENGER) == first


@pytest.mark.parametrize("stage", ["examples", "ranker", "gate"])
def test_a_killed_run_is_gone_on_with_on_the_same_examples(
    data_dir: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = killed_after(stage, data_dir, monkeypatch)
    world.show_more(data_dir, 1)
    run = learn(world.plan(data_dir), Steps())
    assert (run.run_id, run.dataset, run.state) == (killed.run_id, killed.dataset, "published")
    assert run.started_us == killed.started_us


def test_a_killed_run_is_dropped_when_another_champion_serves_by_now(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = killed_after("ranker", data_dir, monkeypatch)
    registry = Registry.open(data_dir)
    registry.publish("ranker", registry.resolve("ranker").folder, CHAMPION)
    run = learn(world.plan(data_dir), Steps())
    assert run.run_id != killed.run_id
    dropped = {old.run_id: old for old in Runs(data_dir).recent()}[killed.run_id]
    assert (dropped.state, dropped.reason) == ("failed", "Its process ended, and ranker changed meanwhile.")


def test_a_killed_run_is_dropped_after_a_day(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed = killed_after("ranker", data_dir, monkeypatch)
    monkeypatch.setattr(learning, "STALE", timedelta(0))
    assert learn(world.plan(data_dir), Steps()).run_id != killed.run_id


def test_rows_of_a_version_whose_files_are_gone_are_still_learned_from(data_dir: Path) -> None:
    first = learn(replace(world.plan(data_dir), promote=True), Steps())
    registry = Registry.open(data_dir)
    shutil.rmtree(registry.resolve("ranker", "1").folder)
    world.show_more(data_dir, 1)
    second = learn(replace(world.plan(data_dir), promote=True), Steps())
    assert second.examples > first.examples


def test_towers_are_refitted_from_the_champion_and_move_together(tmp_path: Path) -> None:
    registry = world.build(tmp_path, towers=True, interests=2)
    run = learn(world.plan(tmp_path, retrieval=True, least_clicks=10**6), Steps())
    assert run.parts == ["retrieval"]
    assert run.releases == ["co_visitation", "ease", "popularity", "two_tower"]
    found = registry.resolve("two_tower", CHALLENGER)
    assert found.manifest.lineage["parents"].startswith("two_tower ")
    # The plan says one: how many there are was settled by who trained the champion.
    assert UserTower.load(found.folder).interests == 2
    assert found.manifest.metrics["gate_recall_at_200_challenger"] > 0
    assert load_ranker(registry.resolve("ranker").folder)
    registry.set_alias("two_tower", CHAMPION, found.version)
    with pytest.raises(NothingToLearn, match="Nobody did anything since"):
        learn(replace(world.plan(tmp_path, retrieval=True, least_clicks=10**6), promote=True), Steps())
