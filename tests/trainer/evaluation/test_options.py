"""Evaluations of different kinds do not share a folder, and leave a command that makes them again."""

from __future__ import annotations

from pathlib import Path

from services.trainer.evaluation.about import command
from services.trainer.evaluation.options import Options
from services.trainer.evaluation.ours import quick_plan, untimed
from services.trainer.pipeline import Plan
from tests.trainer.small_interactions import ring


def test_each_kind_of_evaluation_has_a_folder_of_its_own() -> None:
    kinds = [Options(), Options(quick=True), Options(timed=False), Options(quick=True, timed=False)]
    assert [kind.folder(Path("d")).name for kind in kinds] == [
        "evaluation", "evaluation-quick", "evaluation-untimed", "evaluation-quick-untimed"
    ]  # fmt: skip
    assert Options(out=Path("here")).folder(Path("d")) == Path("here")


def test_the_command_tells_what_was_measured() -> None:
    told = command(Options(timed=False, seeds=5), Plan(seed=7))
    assert told.endswith("evaluate --seeds 5 --epochs 3 --protocol both --untimed --seed 7")
    assert "--quick" in command(Options(quick=True), Plan())


def test_a_quick_untimed_plan_is_both() -> None:
    plan = quick_plan(untimed(Plan()))
    assert not plan.timed
    assert plan.retrieval.fit.epochs == 1
    assert Plan().timed


def test_the_moments_of_an_untimed_plan_do_not_tell_when_they_are() -> None:
    interactions = ring(users=3, length=4)
    times = [
        [moment.at_ms - int(moment.user.history_times[-1]) for moment in plan.moments_of(interactions, [1, 2])]
        for plan in (Plan(), untimed(Plan()))
    ]
    assert all(times[0])
    assert not any(times[1])
