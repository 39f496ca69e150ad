"""From results to figures, where the figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from services.trainer.evaluation.bands import activity_bands, popularity_bands
from services.trainer.evaluation.ours import OURS, RETRIEVAL_ALONE
from services.trainer.evaluation.summary import summarise
from tests.trainer.evaluation.made_up import ABOUT, USERS, figures, result
from tests.trainer.small_interactions import ring, small


def test_models_stand_by_ndcg_with_the_best_last() -> None:
    found = figures()
    assert [model.name for model in found.models][-2:] == ["two_stage", OURS]
    assert found.model(OURS).metrics["hr@10"].mean == 0.5
    assert found.model("two_stage").seeds == [0, 1]
    assert found.model("two_stage").fit_seconds == 7.5
    assert found.seeds == [0, 1]


def test_a_user_counts_with_the_mean_of_the_seeds() -> None:
    results = [result("ials", np.full(USERS, rank), seed) for seed, rank in enumerate((1.0, 3.0, np.inf))]
    model = summarise(ABOUT, results, [], ring(USERS)).model("ials")
    assert model.metrics["ndcg@10"].mean == pytest.approx((1 + 0.5 + 0) / 3)
    # All users are alike: only the seeds differ, and they are not what the interval is over.
    assert model.metrics["ndcg@10"].low == model.metrics["ndcg@10"].high
    assert model.by_seed["hr@10"] == [1.0, 1.0, 0.0]


def test_differences_are_paired_and_the_narrowest_lead_stands_last() -> None:
    found = figures(ours=1.0, bar=3.0)
    assert list(found.differences) == ["popularity", "two_stage"]
    gain = found.differences["two_stage"]["ndcg@10"]
    assert gain.mean == pytest.approx(0.25)
    assert 0 < gain.low < gain.mean < gain.high
    assert found.differences["two_stage"]["hr@10"] == (0.0, 0.0, 0.0)


def test_without_our_funnel_there_is_no_difference_and_no_stage() -> None:
    found = summarise(ABOUT, [result("ease", np.ones(USERS))], [], ring(USERS))
    assert (found.ours, found.differences, found.stages) == ("", {}, [])


def test_the_stages_tell_what_each_source_finds_and_what_only_it_finds() -> None:
    stages = {(stage.part, stage.name): stage for stage in figures().stages}
    assert stages["source", "two_tower"].recall.mean == 0.5
    assert stages["source", "two_tower"].alone == 0.0
    assert stages["source", "co_visitation"].recall.mean == 1.0
    assert stages["source", "co_visitation"].alone == 0.5
    assert stages["merged", "first 50"].recall.mean == 0.0
    assert stages["merged", "first 200"].recall.mean == 0.5
    assert stages[OURS, "first 10"].recall.mean == 0.5
    assert (RETRIEVAL_ALONE, "first 10") not in stages


def test_lists_that_are_the_same_for_all_cover_ten_items() -> None:
    lists = figures().model("popularity").lists
    assert lists["coverage"].mean == pytest.approx(10 / 60)
    assert lists["gini"].mean == pytest.approx(1 - 10 / 60)
    # The first ten films of the ring are dramas.
    assert lists["diversity"].mean == pytest.approx(0.0)


def test_activity_bands_are_of_about_as_many_users() -> None:
    sequences = {user: list(range(user + 2)) for user in range(40)}
    cut = activity_bands(small(sequences, list(range(50))), np.arange(40))
    assert cut.labels[0].startswith("1–")
    assert cut.labels[-1].endswith("–40")
    assert all(8 <= count <= 12 for count in np.bincount(cut.band))


def test_users_who_all_did_as_much_are_one_band() -> None:
    cut = activity_bands(ring(8), np.arange(8))
    assert cut.labels == ["13"]
    assert cut.band.tolist() == [0] * 8


def test_popularity_bands_are_by_place_in_the_catalog() -> None:
    # Item 0 is before every target but one; items 1 and 2 are targets.
    sequences = {1: [0, 1], 2: [0, 2], 3: [0, 1], 4: [3, 0]}
    cut = popularity_bands(small(sequences, list(range(100))), np.arange(4))
    labels = [cut.labels[band].replace("\N{NO-BREAK SPACE}", " ") for band in cut.band.tolist()]
    assert labels == ["1–5 %", "1–5 %", "1–5 %", "0–1 %"]
