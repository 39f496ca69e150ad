"""Sentences follow the numbers, whichever way these go."""

from __future__ import annotations

import pytest

from models.metrics import Interval
from services.trainer.evaluation import sentences
from services.trainer.evaluation.ours import OURS
from services.trainer.evaluation.rated import Rated
from tests.trainer.evaluation.made_up import figures


@pytest.mark.parametrize(
    ("ours", "bar", "says"),
    [
        (1.0, 5.0, "Cascade (LambdaMART) is ahead of two stages (LightGBM)"),
        (5.0, 1.0, "Cascade (LambdaMART) is behind two stages (LightGBM)"),
        (2.0, 2.0, "Cascade (LambdaMART) is not to be told from two stages (LightGBM)"),
    ],
)
def test_the_bar_is_beaten_missed_or_undecided(ours: float, bar: float, says: str) -> None:
    told = sentences.about_models(figures(ours, bar))
    assert says in told
    leader = "two stages (LightGBM)" if bar < ours else "Cascade (LambdaMART)"
    assert ours == bar or told.startswith(f"{leader} has the highest NDCG@10")


def test_peers_are_sorted_by_what_the_interval_says() -> None:
    says = sentences.about_differences(figures(ours=3.0, bar=1.0))
    assert "is ahead of popularity; behind two stages (LightGBM)." in says
    assert "not to be told" not in says


def test_the_funnel_is_told_with_its_best_source_and_its_loss() -> None:
    says = sentences.about_stages(figures().stages)
    assert "Of the sources co-visitation finds most alone: 100.0\N{NO-BREAK SPACE}%" in says
    assert "without co-visitation: 50.0\N{NO-BREAK SPACE}% of the targets are on its list only" in says
    assert "(LambdaMART) lifts what the first 10 hold from 0.0\N{NO-BREAK SPACE}% to 50.0\N{NO-BREAK SPACE}%" in says
    assert "lowers" in sentences.about_stages([stage for stage in figures(ours=501.0).stages if stage.depth != 10])


def test_a_scorer_that_is_off_is_named() -> None:
    says = sentences.about_rated(figures().rated)
    assert "The probabilities of DLRM are nearest" in says
    assert "10.00 points off" in says
    assert "More than a point off: DLRM." in says


def test_what_a_head_says_of_something_else_than_likes_is_not_compared_with_them() -> None:
    like = figures().rated[1]
    better = {**like.metrics, "gauc": Interval(0.9, 0.8, 1.0), "ece": Interval(0.0, 0.0, 0.0)}
    love = Rated("single task, love", [0], 1.0, better, like.reliability, ["abc"])
    assert sentences.about_rated([like, love]) == sentences.about_rated([like])
    alone = Rated("single task, like", [0], 1.0, better, like.reliability, ["abc"])
    assert sentences.about_rated([like, alone]).startswith("single task, like orders")


def test_ours_is_placed_among_all_lists() -> None:
    assert "hold 16.7\N{NO-BREAK SPACE}% of the catalog (place 1 of 4)" in sentences.about_lists(figures())


def test_bands_name_where_ours_is_above_the_bar() -> None:
    assert "above that of two stages (LightGBM) at 13." in sentences.about_bands(figures(1.0, 5.0))
    assert "above that of two stages (LightGBM) nowhere." in sentences.about_bands(figures(5.0, 1.0))
    assert figures().bands[0].ndcg[OURS][0] is not None
