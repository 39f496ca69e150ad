"""Latent factors with regression priors: exact where algebra is, calibrated where they guess, the same for one seed."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rlfm import Ratings, Rlfm, RlfmConfig, fit_rlfm
from models.rlfm_filter import expectations

USERS, ITEMS, WIDTH = 40, 60, 2


def drawn(seed: int, events: int = 1500) -> tuple[Ratings, np.ndarray, np.ndarray, np.ndarray]:
    """Ratings from the model itself, with the features of both sides and what was expected of each."""
    random = np.random.default_rng(seed)
    kinds = random.integers(0, 2, USERS)
    user_features = np.column_stack([np.ones(USERS), kinds])
    item_features = np.column_stack([np.ones(ITEMS), random.integers(0, 2, ITEMS)])
    users, items = random.integers(0, USERS, events), random.integers(0, ITEMS, events)
    w = random.normal(0, 0.7, (USERS, WIDTH)) + kinds[:, None]
    v = random.normal(0, 0.7, (ITEMS, WIDTH))
    truth = 3.5 + 0.3 * item_features[items, 1] + np.einsum("ed,ed->e", w[users], v[items])
    return Ratings(users, items, truth + random.normal(0, 0.5, events)), user_features, item_features, truth


def fitted(seed: int = 0, sweeps: int = 60) -> tuple[Rlfm, Ratings]:
    ratings, user_features, item_features, _ = drawn(seed)
    return fit_rlfm(ratings, user_features, item_features, RlfmConfig(WIDTH, sweeps), seed), ratings


def test_the_noise_it_was_drawn_with_is_found() -> None:
    model, _ = fitted()
    # A variance of .25; what the factors cannot tell of 40 users adds to it.
    assert 0.2 < model.noise < 0.35


def test_ratings_that_it_has_not_seen_are_expected_better_than_by_biases() -> None:
    ratings, user_features, item_features, truth = drawn(1, 4000)
    past, now = (
        Ratings(ratings.users[p], ratings.items[p], ratings.values[p]) for p in (slice(3000), slice(3000, None))
    )
    model = fit_rlfm(past, user_features, item_features, RlfmConfig(WIDTH, 60), 0)
    found = expectations(model, past, now, np.arange(3000), np.arange(3000, 4000))
    both = model.mean + found.user_bias + found.item_bias + found.match
    biases = model.mean + found.user_bias + found.item_bias
    assert np.square(both - truth[3000:]).mean() < 0.2 * np.square(biases - truth[3000:]).mean()


def test_the_same_seed_gives_the_same_model() -> None:
    first, second = fitted(sweeps=3)[0], fitted(sweeps=3)[0]
    np.testing.assert_array_equal(first.items, second.items)
    assert first.noise == second.noise


def test_a_user_without_ratings_is_what_their_features_say() -> None:
    model, ratings = fitted()
    none = Ratings(ratings.users[:0], ratings.items[:0], ratings.values[:0])
    means, covariances = model.posterior(none)
    np.testing.assert_allclose(means, model.users_prior, atol=1e-9)
    np.testing.assert_allclose(covariances[0], model.covariance, atol=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60))
def test_folding_in_one_by_one_is_the_ridge_regression_of_all_earlier_ratings(seed: int, begin: int) -> None:
    model, _ = MODEL
    random = np.random.default_rng(seed)
    users, items = random.integers(0, 5, 80), random.integers(0, ITEMS, 80)
    values, seconds = random.normal(3.5, 1, 80), np.sort(random.integers(0, 40, 80))
    begin = int(np.searchsorted(seconds, seconds[begin]))
    past, now = (Ratings(users[p], items[p], values[p]) for p in (slice(begin), slice(begin, None)))
    found = expectations(model, past, now, seconds[:begin], seconds[begin:], drift=0.0)
    for event in range(begin, 80, 9):
        earlier = (users == users[event]) & (seconds < seconds[event])
        z, aim = model.items[items[earlier]], values[earlier] - model.mean - model.item_bias[items[earlier]]
        precision = np.linalg.inv(model.covariance)
        covariance = np.linalg.inv(z.T @ z / model.noise + precision)
        mean = covariance @ (z.T @ aim / model.noise + precision @ model.users_prior[users[event]])
        here = model.items[items[event]]
        np.testing.assert_allclose(found.user_bias[event - begin], mean[0], atol=2e-3)
        np.testing.assert_allclose(found.match[event - begin], mean[1:] @ here[1:], atol=2e-3)
        np.testing.assert_allclose(found.variance[event - begin], here @ covariance @ here, atol=2e-3)


def test_drift_makes_a_user_less_certain_after_a_pause_and_not_within_a_visit() -> None:
    model, _ = MODEL
    one = Ratings(np.array([0]), np.array([0]), np.array([4.0]))
    soon, later = (
        expectations(model, one, one, np.array([0]), np.array([after]), drift=0.5).variance[0] for after in (60, 86_400)
    )
    still = expectations(model, one, one, np.array([0]), np.array([86_400]), drift=0.0).variance[0]
    assert soon == still < later


MODEL = fitted()
