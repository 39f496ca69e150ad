"""The feature spec: hand numbers, places kept, and the same rows after a round trip through JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.items import ITEM_COLUMNS, ItemRows, ItemTable
from models.normalizer import Normalizer
from models.spec import POSITION_COLUMN, RETRIEVAL_COLUMNS, FeatureSpec
from models.user import UserState
from tests.models.small_catalog import DAY_MS, NOW_MS, catalog, retrieval_scores, spec, user


def cell(of: FeatureSpec, rows: NDArray[np.float32], name: str, row: int = 0) -> float:
    return float(rows[row, of.columns.index(name)])


def two_genre_catalog() -> ItemTable:
    """1 Action 1990, 2 Comedy 2000, 3 Action+Comedy 1995, 4 Drama 2010."""
    features = np.full((4, len(ITEM_COLUMNS)), np.nan, np.float32)
    columns: dict[str, list[float]] = {
        "year": [1990, 2000, 1995, 2010],
        "created_days": [999, 999, 999, 990],
        "event_count": [0, 9, 99, 999],
        "mean_value": [3.0, 3.5, 4.5, 2.0],
    }
    for name, column in columns.items():
        features[:, ITEM_COLUMNS.index(name)] = column
    genres = [("Action",), ("Comedy",), ("Action", "Comedy"), ("Drama",)]
    ids = np.arange(1, 5, dtype=np.uint64)
    return ItemTable(ItemRows(ids, ["1", "2", "3", "4"], [""] * 4, genres, [()] * 4, features))


def test_features_of_a_small_case_are_those_computed_by_hand() -> None:
    items = two_genre_catalog()
    of = spec(items)
    rows = of.assemble(user((1, 2), (5, 3)), items, np.array([3, 4], np.uint64), None, NOW_MS)
    # Action was seen one event before Comedy, so it weighs .9 against 1; item 3 has both genres.
    assert cell(of, rows, "genre_affinity") == pytest.approx(1.9 / np.sqrt(2) / np.sqrt(0.9**2 + 1), abs=1e-5)
    assert cell(of, rows, "genre_affinity", 1) == 0
    # Surplus: Action +1 (weight .9), Comedy -1 (weight 1), two pseudo-events of no opinion.
    assert cell(of, rows, "genre_taste") == pytest.approx((0.9 / 2.9 - 1 / 3) / 2, abs=1e-5)
    assert cell(of, rows, "genre_match_last") == pytest.approx(1 / np.sqrt(2))
    assert cell(of, rows, "genre_match_last3") == pytest.approx(1.0)
    assert cell(of, rows, "year_gap_last") == -5
    assert cell(of, rows, "year_distance_history", 1) == pytest.approx(2010 - (0.9 * 1990 + 2000) / 1.9, abs=1e-3)
    assert cell(of, rows, "popularity_gap_last") == pytest.approx(np.log(10))
    assert cell(of, rows, "value_gap", 1) == pytest.approx(-2.0)
    assert cell(of, rows, "user_mean_value") == 4
    assert cell(of, rows, "user_like_rate") == 0.5
    assert cell(of, rows, "log_idle_hours") == pytest.approx(np.log(2))
    assert cell(of, rows, "log_age_days", 1) == pytest.approx(np.log1p(10))


def test_ranks_count_the_better_ones_and_equals_share_the_best_rank() -> None:
    items = catalog(4)
    of = spec(items)
    scores = np.zeros((4, len(RETRIEVAL_COLUMNS)), np.float32)
    scores[:, 1] = np.array([5, 7, 5, np.nan])
    rows = of.assemble(user(), items, items.ids, scores, NOW_MS)
    column = rows[:, of.columns.index("co_visitation_rank")]
    np.testing.assert_allclose(column, [1, 0, 1, np.nan], rtol=1e-6)


def test_categorical_columns_are_vocabulary_indices_and_zero_is_unknown() -> None:
    items = two_genre_catalog()
    of = spec(items)
    rows = of.assemble(user((1, 2), (5, 3)), items, np.array([3, 77], np.uint64), None, NOW_MS)
    at = dict(zip(of.cardinalities, rows[:, len(of.numeric_columns) :].T, strict=True))
    np.testing.assert_array_equal(at["item"], [3, 0])
    np.testing.assert_array_equal(at["last_item_1"], [2, 2])
    np.testing.assert_array_equal(at["last_item_2"], [1, 1])
    np.testing.assert_array_equal(at["last_item_3"], [0, 0])
    assert sorted([at["genre_1"][0], at["genre_2"][0]]) == [1, 2]
    np.testing.assert_array_equal(at["genre_1"][1], 0)
    np.testing.assert_array_equal(at["gender"], [1, 1])
    np.testing.assert_array_equal(at["occupation"], [0, 0])
    for name, size in of.cardinalities.items():
        assert 0 <= at[name].min() <= at[name].max() < size


def test_unknown_items_keep_their_place() -> None:
    items = catalog()
    of = spec(items)
    ids = np.array([5, 999_999, 6], np.uint64)
    scores = retrieval_scores(3)
    rows = of.assemble(user(), items, ids, scores, NOW_MS)
    alone = of.assemble(user(), items, ids[[0, 2]], scores[[0, 2]], NOW_MS)
    ranks = [i for i, name in enumerate(of.columns) if name.endswith("_rank")]
    others = np.setdiff1d(np.arange(len(of.columns)), ranks)
    np.testing.assert_array_equal(rows[[0, 2]][:, others], alone[:, others])
    assert np.isnan(cell(of, rows, "year", 1))
    assert np.isnan(cell(of, rows, "genre_affinity", 1))
    assert cell(of, rows, "two_tower", 1) == scores[1, 0]
    assert cell(of, rows, "user_mean_value", 1) == 4


def test_a_cold_user_an_empty_catalog_and_no_candidates_are_answers() -> None:
    items = catalog()
    of = spec(items)
    cold = of.assemble(UserState(0), items, items.ids, None, NOW_MS)
    assert cold.shape == (len(items), len(of.columns))
    assert np.isnan(cold[:, of.columns.index("genre_affinity")]).all()
    assert of.assemble(user(), items, np.empty(0, np.uint64), None, NOW_MS).shape == (0, len(of.columns))
    nothing = ItemTable(ItemRows.empty())
    assert np.isnan(of.assemble(user(), nothing, items.ids, None, NOW_MS)[:, of.columns.index("year")]).all()


def test_a_row_does_not_depend_on_the_order_of_the_candidates() -> None:
    items = catalog()
    of = spec(items)
    for seed in range(20):
        random = np.random.default_rng(seed)
        ids = random.choice(np.arange(1, 60, dtype=np.uint64), 30, replace=False)
        scores = retrieval_scores(30, seed)
        shuffled = random.permutation(30)
        rows = of.assemble(user(), items, ids, scores, NOW_MS)
        again = of.assemble(user(), items, ids[shuffled], scores[shuffled], NOW_MS)
        np.testing.assert_allclose(again, rows[shuffled], rtol=1e-5, atol=1e-6)


def test_the_moment_changes_only_what_depends_on_time() -> None:
    items = catalog()
    of = spec(items)
    now, later = (of.assemble(user(), items, items.ids, None, NOW_MS + days * DAY_MS) for days in (0, 30))
    changed = {of.columns[i] for i in np.flatnonzero((np.nan_to_num(now) != np.nan_to_num(later)).any(axis=0))}
    assert changed == {"log_idle_hours", "log_age_days"}


def test_a_spec_survives_json_with_sorted_keys() -> None:
    items = catalog()
    first = spec(items)
    rows = first.assemble(user(), items, items.ids, retrieval_scores(len(items)), NOW_MS)
    first = first.with_normalizer(rows)
    again = FeatureSpec.from_json(json.loads(json.dumps(first.to_json(), sort_keys=True)))
    assert again.columns == first.columns
    np.testing.assert_array_equal(again.assemble(user(), items, items.ids, retrieval_scores(len(items)), NOW_MS), rows)
    assert again.normalizer is not None
    assert first.normalizer is not None
    np.testing.assert_array_equal(again.normalizer.scale, first.normalizer.scale)


def test_a_spec_of_other_columns_is_refused() -> None:
    data = spec(catalog()).to_json()
    data["columns"] = data["columns"][:-1]
    with pytest.raises(ValueError, match="Train again"):
        FeatureSpec.from_json(data)


def test_every_candidate_is_scored_as_if_at_the_top_and_a_real_place_keeps_its_value_when_normalised() -> None:
    items = catalog()
    of = spec(items)
    rows = of.assemble(user(), items, items.ids, retrieval_scores(len(items)), NOW_MS)
    place = of.columns.index(POSITION_COLUMN)
    assert of.numeric_columns[-1] == POSITION_COLUMN
    assert not rows[:, place].any()
    normalizer = of.with_normalizer(rows).normalizer
    assert normalizer is not None
    shown = rows[:, : len(of.numeric_columns)].copy()
    shown[:, place] = np.log2(np.arange(1, len(items) + 1))
    np.testing.assert_allclose(normalizer.apply(shown)[:, place], shown[:, place], rtol=1e-6)


def test_a_profile_value_outside_the_vocabulary_is_unknown() -> None:
    items = catalog()
    of = spec(items)
    stranger = replace(user(), profile={"gender": "X"})
    rows = of.assemble(stranger, items, items.ids[:1], None, NOW_MS)
    assert cell(of, rows, "gender") == 0


def test_normalised_columns_have_mean_zero_and_unit_deviation_and_keep_nan() -> None:
    random = np.random.default_rng(0)
    rows = np.stack(
        [random.normal(5, 3, 5000), random.lognormal(0, 3, 5000), np.full(5000, 2.0), np.full(5000, np.nan)], axis=1
    ).astype(np.float32)
    rows[::7, 0] = np.nan
    normal = Normalizer.fit(rows).apply(rows)
    assert np.isnan(normal[::7, 0]).all()
    assert np.isnan(normal[:, 3]).all()
    np.testing.assert_allclose(np.nanmean(normal[:, :2], axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.nanstd(normal[:, :2], axis=0), 1, atol=1e-3)
    np.testing.assert_array_equal(normal[:, 2], 0)


def test_only_heavy_tailed_columns_are_taken_as_logarithmic() -> None:
    random = np.random.default_rng(0)
    rows = np.stack([random.uniform(0, 1, 1000), random.lognormal(0, 3, 1000), random.normal(0, 9, 1000)], axis=1)
    scale = Normalizer.fit(rows.astype(np.float32)).scale
    assert scale[0] == 0
    assert scale[1] > 0
    assert scale[2] == 0
