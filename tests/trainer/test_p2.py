"""Protocol P2: nothing of the present or the future leaks into a feature, and the metrics are what they say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from models.dlrm import DlrmConfig
from models.lambdamart import LambdaMartConfig
from models.metrics import auc, calibration_error, gauc, graded_ndcg, log_loss
from services.trainer.p2 import evaluate, p2_data, p2_table, run_p2, weighted_auc
from services.trainer.p2_features import Earlier, RatingLog

USERS, ITEMS = 30, 40
SHIFT_US = 900_000_000_999_998
"""Not whole seconds: the spread ties cross a second of the shifted clock."""


def rating_log(events: int = 600, seed: int = 0) -> RatingLog:
    """Random ratings with many ties in time; users have a bias, items a merit."""
    random = np.random.default_rng(seed)
    users, items = random.integers(0, USERS, events), random.integers(0, ITEMS, events)
    taste = random.normal(0, 1, USERS)[users] + random.normal(0, 1, ITEMS)[items]
    return RatingLog(
        users=users,
        items=items,
        user_ids=np.arange(1, USERS + 1),
        item_ids=np.arange(1, ITEMS + 1),
        shift_us=0,
        seconds=np.sort(random.integers(0, events // 3, events)),
        ratings=np.clip(np.round(3.5 + taste), 1, 5).astype(np.float32),
        profiles={"gender": random.integers(0, 3, USERS), "age": random.integers(0, 4, USERS)},
        genres=random.random((ITEMS, 4)) < 0.4,
        years=random.integers(1950, 2000, ITEMS).astype(np.float32),
    )


def ties_of(log: RatingLog) -> NDArray[np.int64]:
    """(E,) how many events of the same second came before."""
    starts = np.searchsorted(log.seconds, log.seconds)
    return np.arange(len(log)) - starts


def lake_tables(log: RatingLog) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Users, items and events as an import leaves them: times shifted, ties spread over microseconds."""
    names = ["Action", "Comedy", "Drama", "Horror"][: log.genres.shape[1]]
    micros = log.seconds * 1_000_000 + SHIFT_US + ties_of(log)
    users = pl.DataFrame({"user_id": log.user_ids, "external_id": log.user_ids.astype(str)}).with_columns(
        gender=pl.Series(log.profiles["gender"]).cast(pl.String),
        age=pl.Series(log.profiles["age"]).cast(pl.String),
        occupation=pl.lit(None, pl.String),
        region=pl.lit(None, pl.String),
    )
    text = log.item_ids.astype(str)
    items = pl.DataFrame({"item_id": log.item_ids, "external_id": text, "title": text}).with_columns(
        year=pl.Series(log.years).fill_nan(None).cast(pl.Int32),
        genres=pl.Series([[name for name, has in zip(names, row, strict=True) if has] for row in log.genres]),
        creators=pl.lit([], pl.List(pl.String)),
        created_at=pl.lit(datetime(2000, 1, 1, tzinfo=UTC)).cast(pl.Datetime("us", "UTC")),
    )
    events = pl.DataFrame(
        {"user_id": log.user_ids[log.users], "item_id": log.item_ids[log.items], "ts": micros, "value": log.ratings}
    )
    events = events.select(
        pl.concat_str(pl.lit("ml-"), pl.int_range(pl.len())).alias("event_id"),
        pl.lit("watch").alias("type"),
        pl.col("user_id").cast(pl.UInt64),
        pl.col("item_id").cast(pl.UInt64),
        pl.from_epoch("ts", "us").dt.replace_time_zone("UTC").cast(pl.Datetime("us", "UTC")),
        "value",
        *(pl.lit(None, pl.String).alias(name) for name in ("session_id", "recommendation_id")),
        pl.lit(None, pl.Int32).alias("position"),
        pl.lit("movielens").alias("source"),
    )
    ids = [pl.col("user_id").cast(pl.UInt64)], [pl.col("item_id").cast(pl.UInt64)]
    return users.with_columns(ids[0]), items.with_columns(ids[1]), events


def write_lake(log: RatingLog, data_dir: Path) -> Path:
    """The log as data_dir/lake; returns data_dir."""
    (data_dir / "lake" / "events").mkdir(parents=True)
    for name, table in zip(("users", "items", "events/imported"), lake_tables(log), strict=True):
        table.write_parquet(data_dir / "lake" / f"{name}.parquet")
    return data_dir


def test_a_log_read_from_a_lake_has_its_ties_again() -> None:
    log = rating_log()
    again = RatingLog.of(*lake_tables(log))
    order = np.lexsort((ties_of(log), log.seconds))
    np.testing.assert_array_equal(again.seconds - SHIFT_US // 1_000_000, log.seconds[order])
    assert again.shift_us == SHIFT_US % 1_000_000
    np.testing.assert_array_equal(again.users, log.users[order])
    np.testing.assert_array_equal(again.ratings, log.ratings[order])
    np.testing.assert_array_equal(again.genres, log.genres)
    np.testing.assert_array_equal(again.profiles["occupation"], 0)


def test_earlier_sums_are_those_of_a_loop() -> None:
    for seed in range(10):
        random = np.random.default_rng(seed)
        keys, seconds = random.integers(0, 5, 80), np.sort(random.integers(0, 30, 80))
        values = random.normal(0, 1, (80, 2)).astype(np.float32)
        earlier = Earlier(keys, seconds)
        sums, idle = earlier.sums(values), earlier.since_last()
        for event in range(80):
            past = (keys == keys[event]) & (seconds < seconds[event])
            np.testing.assert_allclose(sums[event], values[past].sum(axis=0), atol=1e-5)
            expected = seconds[event] - seconds[past].max() if past.any() else np.nan
            np.testing.assert_array_equal(idle[event], np.float32(expected))


def test_the_newest_of_the_past_are_a_window_that_ends_before_the_second() -> None:
    earlier = Earlier(np.zeros(6, np.int64), np.array([1, 2, 3, 4, 4, 5]))
    values = np.array([[1], [2], [4], [8], [16], [32]], np.float32)
    assert earlier.sums(values, newest=2)[:, 0].tolist() == [0, 1, 3, 6, 6, 24]


def test_features_never_see_their_own_second_or_the_future(tmp_path: Path) -> None:
    for seed in range(5):
        log = rating_log(300, seed)
        data = p2_data(write_lake(log, tmp_path / f"{seed}"))
        features = data.features
        moment = int(log.seconds[200])
        hidden = log.seconds >= moment
        changed = log.ratings.copy()
        changed[hidden] = np.random.default_rng(seed).integers(1, 6, int(hidden.sum()))
        again = p2_data(write_lake(replace(log, ratings=changed), tmp_path / f"{seed}-changed")).features
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
    data = p2_data(write_lake(log, tmp_path))
    at = dict(zip(data.columns.columns, data.features.T, strict=True))
    prior = 3.5
    np.testing.assert_allclose(at["user_mean"], [prior, (5 + 5 * prior) / 6, prior, (7 + 5 * prior) / 7], rtol=1e-6)
    # The two events of second 30 on item 0 see the first event only, not each other.
    np.testing.assert_allclose(at["item_mean"], [prior, prior, (5 + 5 * prior) / 6, (5 + 5 * prior) / 6], rtol=1e-6)
    np.testing.assert_allclose(at["user_log_idle"], [np.nan, np.log(11), np.nan, np.log(11)], rtol=1e-6)
    # User 0 in the genre of item 0: +1.5 beyond the item's mean, then -1.5, over two events and five of no opinion.
    np.testing.assert_allclose(at["genre_bias"][[1, 3]], [1.5 / 6 / 2, 0.0], atol=1e-6)
    assert at["genre_1"].tolist() == [1, 2, 1, 1]
    assert at["gender"].tolist() == [1, 1, 2, 1]


def test_weighted_auc_is_the_auc_of_repeated_events() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        scores, liked = random.integers(0, 6, 40).astype(float), random.random(40) < 0.5
        times = random.integers(0, 4, 40)
        repeated = auc(np.repeat(scores, times), np.repeat(liked, times).astype(float))
        level = np.unique(scores, return_inverse=True)[1]
        assert weighted_auc(level, liked, times.astype(float)) == pytest.approx(repeated)


def test_evaluation_agrees_with_the_plain_metrics_and_intervals_hold_them() -> None:
    log = rating_log(1500)
    test = slice(500, None)
    scores = log.ratings[test] + np.random.default_rng(1).normal(0, 1.5, 1000)
    probabilities = 1 / (1 + np.exp(-(scores - 3.5)))
    found = evaluate(scores, log, test, probabilities)
    liked, users, ratings = (log.ratings[test] >= 4).astype(float), log.users[test], log.ratings[test]
    lists = [users == user for user in range(USERS) if (users == user).sum() >= 10]
    expected = {
        "auc": auc(scores, liked),
        "gauc": gauc(scores, liked, users),
        "ndcg_at_10": float(np.mean([graded_ndcg(scores[rows], ratings[rows]) for rows in lists])),
        "log_loss": log_loss(probabilities, liked),
        "ece": calibration_error(probabilities, liked),
    }
    for name, value in expected.items():
        assert found[name].mean == pytest.approx(value), name
    for name in ("auc", "gauc", "ndcg_at_10", "log_loss"):
        assert found[name].low < found[name].mean < found[name].high


def test_a_second_is_never_cut_in_two_by_the_split(tmp_path: Path) -> None:
    data = p2_data(write_lake(rating_log(), tmp_path))
    log = data.log
    for end in (data.fit_end, data.tune_end):
        assert log.seconds[end - 1] < log.seconds[end]
    assert 0.75 * len(log) < data.fit_end < data.tune_end < 0.95 * len(log)


def test_both_rankers_beat_a_random_order_on_a_lake(tmp_path: Path) -> None:
    results = run_p2(
        write_lake(rating_log(6000), tmp_path),
        trees=LambdaMartConfig(objective="binary", trees=30, leaves=7, threads=1),
        network=DlrmConfig(objective="binary", width=4, bottom=(16,), top=(16,), epochs=2, batch_rows=256, threads=1),
    )
    for name in ("lambdamart", "dlrm"):
        assert results[name].metrics["auc"].low > results["random order"].metrics["auc"].high
        assert results[name].metrics["log_loss"].mean < np.log(2)
    assert "ece" not in results["random order"].metrics
    assert p2_table(results).row_count == 4
