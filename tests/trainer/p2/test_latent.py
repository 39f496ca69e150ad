"""Latent factors as features: fitted before each slice, and better than biases where taste exists."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.rlfm import RlfmConfig
from services.trainer.p2.drift import drift_columns
from services.trainer.p2.latent import latent_columns
from services.trainer.p2.neighbours import neighbour_columns, similarities
from tests.trainer.p2.small_log import ITEMS, USERS, rating_log


def test_nothing_is_expected_before_the_first_model_and_everything_after_it() -> None:
    log = rating_log(400)
    told: list[tuple[int, int]] = []
    columns = latent_columns(log, [100, 250], RlfmConfig(2, 2), 0, lambda done, planned: told.append((done, planned)))
    for column in columns.values():
        assert np.isnan(column[:100]).all()
        assert np.isfinite(column[100:]).all()
    assert told == [(1, 2), (2, 2)]
    parts = sum(float(columns[f"latent_{part}"][100]) for part in ("user", "item", "match"))
    mean = float(columns["latent_expected"][100]) - parts
    assert abs(mean - log.ratings[:100].mean()) < 1e-4


def test_expectations_follow_tastes_that_biases_do_not_hold() -> None:
    log, random = rating_log(3000), np.random.default_rng(3)
    taste = np.sign(random.normal(0, 1, USERS))[log.users] * np.sign(random.normal(0, 1, ITEMS))[log.items]
    log = replace(log, ratings=(3 + taste).astype(np.float32))
    columns = latent_columns(log, [1000, 2000], RlfmConfig(2, 10), 0, lambda _done, _planned: None)
    assert np.square(columns["latent_expected"][2000:] - log.ratings[2000:]).mean() < 0.3
    assert np.corrcoef(columns["latent_match"][2000:], taste[2000:])[0, 1] > 0.9


def test_a_surprise_is_counted_where_something_was_expected() -> None:
    log = rating_log(60)
    log = replace(log, users=np.zeros(60, np.int64), seconds=np.arange(60), ratings=np.full(60, 4, np.float32))
    expected = np.full(60, np.nan, np.float32)
    expected[50:] = 3.0
    surprise = drift_columns(log, expected)["user_surprise_5"]
    assert (surprise[:51] == 0).all()
    # After two known surprises of one: 2 / (2 + 5), the five being of no opinion.
    np.testing.assert_allclose(surprise[52], 2 / 7, rtol=1e-6)


def test_similarities_are_shrunk_cosines_of_the_columns() -> None:
    log = rating_log(200)
    beyond = (log.ratings - 3).astype(np.float32)
    table = np.zeros((USERS, ITEMS))
    for user, item, value in zip(log.users[:150], log.items[:150], beyond[:150], strict=True):
        table[user, item] = value
    found = similarities(log, beyond, 150)
    for first, second in ((0, 1), (5, 7)):
        norms = np.linalg.norm(table[:, first]) * np.linalg.norm(table[:, second])
        np.testing.assert_allclose(found[first, second], table[:, first] @ table[:, second] / (norms + 20), rtol=1e-5)
    assert (np.diag(found) == 0).all()


def test_the_nearest_items_of_earlier_seconds_speak() -> None:
    log = rating_log(300)
    beyond = (log.ratings - 3).astype(np.float32)
    said = neighbour_columns(log, beyond, [100], nearest=2)["neighbours_say"]
    similar = similarities(log, beyond, 100)
    assert np.isnan(said[:100]).all()
    for event in range(100, 300, 7):
        past = np.flatnonzero((log.users == log.users[event]) & (log.seconds < log.seconds[event]))
        weights = similar[log.items[event], log.items[past]]
        near = np.abs(weights) >= np.sort(np.abs(weights))[-2:].min(initial=np.inf)
        expected = weights[near] @ beyond[past[near]] / (np.abs(weights[near]).sum() + 0.5)
        np.testing.assert_allclose(said[event], expected, atol=1e-5)
