"""Nothing of the present or the future leaks into a feature, and a small case is what one computes by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from services.trainer.p2.log import RatingLog
from tests.trainer.p2.small_log import rating_log, small_data, write_lake


def test_features_never_see_their_own_second_or_the_future(tmp_path: Path) -> None:
    for seed in range(3):
        log = rating_log(300, seed)
        data = small_data(write_lake(log, tmp_path / f"{seed}"))
        features = data.features
        moment = int(log.seconds[200])
        hidden = log.seconds >= moment
        changed = log.ratings.copy()
        changed[hidden] = np.random.default_rng(seed).integers(1, 6, int(hidden.sum()))
        again = small_data(write_lake(replace(log, ratings=changed), tmp_path / f"{seed}-changed")).features
        upto = log.seconds <= moment
        np.testing.assert_array_equal(again[upto], features[upto])
        assert not np.array_equal(again, features, equal_nan=True)
        assert features.shape == (300, len(data.columns.columns))


def test_a_small_case_is_what_one_computes_by_hand(tmp_path: Path) -> None:
    log = RatingLog(
        users=np.array([0, 0, 1, 0]),
        items=np.array([0, 1, 0, 0]),
        user_ids=np.array([7, 8]),
        item_ids=np.array([5, 6]),
        shift_us=0,
        seconds=np.array([10, 20, 30, 30]),
        ratings=np.array([5, 2, 4, 3], np.float32),
        profiles={"gender": np.array([1, 2]), "age": np.array([1, 1])},
        genres=np.array([[True, False], [True, True]]),
        years=np.array([1990, np.nan], np.float32),
    )
    data = small_data(write_lake(log, tmp_path))
    at = dict(zip(data.columns.columns, data.features.T, strict=True))
    prior = 3.5
    np.testing.assert_allclose(at["user_mean"], [prior, (5 + 5 * prior) / 6, prior, (7 + 5 * prior) / 7], rtol=1e-6)
    # The two events of second 30 on item 0 see the first event only, not each other.
    np.testing.assert_allclose(at["item_mean"], [prior, prior, (5 + 5 * prior) / 6, (5 + 5 * prior) / 6], rtol=1e-6)
    np.testing.assert_allclose(at["user_log_idle"], [np.nan, np.log(11), np.nan, np.log(11)], rtol=1e-6)
    # User 0 in the genre of item 0: +1.5 beyond the item's mean, then -1.5, over two events and five of no opinion.
    np.testing.assert_allclose(at["genre_bias"][[1, 3]], [1.5 / 6 / 2, 0.0], atol=1e-6)
    assert at["genre_1"].tolist() == [1, 2, 1, 1]
    assert at["item"][0] == at["item"][2] == at["item"][3] != at["item"][1]
    assert at["gender"].tolist() == [1, 1, 2, 1]


def test_a_family_left_out_takes_its_columns_and_their_statistics_with_it(tmp_path: Path) -> None:
    data = small_data(write_lake(rating_log(), tmp_path))
    less = data.without({"sides", "latent"})
    assert set(data.columns.columns) - set(less.columns.columns) == {
        *data.columns.families["sides"], *data.columns.families["latent"]
    }  # fmt: skip
    assert data.columns.normalizer is not None
    assert less.columns.normalizer is not None
    for name in ("genre_bias", "user_surprise_20"):
        before, after = data.columns.columns.index(name), less.columns.columns.index(name)
        np.testing.assert_array_equal(less.features[:, after], data.features[:, before])
        assert less.columns.normalizer.mean[after] == data.columns.normalizer.mean[before]
