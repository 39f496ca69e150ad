from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.popularity import OVERALL, Popularity, PopularityConfig, segment_name

DAY_MS = 86_400_000
CATALOG = np.array([3, 1, 2, 4], np.uint64)


def fitted(segment_prior: float = 2.0, uniform_prior: float = 0.0) -> Popularity:
    items = np.array([1, 1, 2, 3, 99], np.uint64)
    times = np.array([10, 10, 10, 0, 10]) * DAY_MS
    segments = ["F, 18-24", "", "F, 18-24", "M, 56+", "M, 56+"]
    return Popularity.fit(CATALOG, items, times, segments, PopularityConfig(10.0, segment_prior, uniform_prior))


def test_an_event_a_half_life_old_counts_half() -> None:
    assert fitted().scores().tolist() == pytest.approx([2 / 3.5, 1 / 3.5, 0.5 / 3.5, 0.0])


def test_a_segment_is_drawn_towards_everybody() -> None:
    overall = np.array([2, 1, 0.5, 0]) / 3.5
    expected = (np.array([1, 1, 0, 0]) + 2 * overall) / 4
    assert fitted().scores("F, 18-24").tolist() == pytest.approx(expected.tolist())


def test_an_item_without_events_scores_above_nothing() -> None:
    assert fitted(uniform_prior=1.0).scores()[3] == pytest.approx(0.25 / 4.5)


def test_an_unknown_segment_gets_everybody() -> None:
    model = fitted()
    assert model.segment_of({"gender": "X", "age": "99"}) == OVERALL
    assert model.segment_of({"gender": "F", "age": "18-24"}) == "F, 18-24"
    assert model.scores("X, 99").tolist() == model.scores(OVERALL).tolist()


def test_a_profile_without_age_or_gender_has_no_segment() -> None:
    assert segment_name({"gender": "F"}) == OVERALL


def test_every_distribution_sums_to_one() -> None:
    for segment in ("", "F, 18-24", "M, 56+"):
        assert fitted(uniform_prior=1.0).scores(segment).sum() == pytest.approx(1.0)


def test_what_was_saved_scores_the_same(tmp_path: Path) -> None:
    fitted().save(tmp_path)
    again = Popularity.load(tmp_path)
    for segment in ("", "F, 18-24", "M, 56+"):
        assert again.scores(segment).tolist() == fitted().scores(segment).tolist()
