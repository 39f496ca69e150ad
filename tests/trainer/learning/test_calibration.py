"""A logistic curve of score and place: known ones are found, and few data stay harmless."""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from services.trainer.learning.calibration import LEAST_SLOPE, Curve, fit_curve, log_losses


def test_the_curve_that_made_the_clicks_is_found() -> None:
    random = np.random.default_rng(0)
    scores, places = random.normal(2, 1.5, 60_000), np.log2(random.integers(1, 11, 60_000))
    true = Curve(0.6, -2.0, -0.8)
    clicked = random.random(scores.size) < 1 / (1 + np.exp(-true.logits(scores, places)))
    found = fit_curve(scores, clicked, places)
    np.testing.assert_allclose([found.slope, found.intercept, found.place], [0.6, -2.0, -0.8], atol=0.06)
    assert fit_curve(scores, clicked).place == 0


def test_weighted_coefficients_are_those_of_another_implementation() -> None:
    random = np.random.default_rng(1)
    scores, weights = random.normal(size=20_000), random.uniform(0.5, 3, 20_000)
    clicked = random.random(scores.size) < 1 / (1 + np.exp(-(1.4 * scores - 1)))
    reference = LogisticRegression(C=np.inf).fit(scores[:, None], clicked, weights)
    found = fit_curve(scores, clicked, weights=weights)
    np.testing.assert_allclose([found.slope, found.intercept], [*reference.coef_[0], *reference.intercept_], atol=2e-3)


def test_clicks_on_all_or_nothing_or_against_the_order_leave_a_finite_rising_curve() -> None:
    scores = np.linspace(-3, 3, 200)
    for clicked in (scores > 9, scores < 9, scores > 0, scores < 0):
        curve = fit_curve(scores, clicked, np.zeros(200))
        assert np.isfinite([curve.slope, curve.intercept, curve.place]).all()
        assert curve.slope >= LEAST_SLOPE
    assert fit_curve(scores, scores < 0).slope == LEAST_SLOPE


def test_log_losses_even_odds_is_one_bit() -> None:
    np.testing.assert_allclose(log_losses(np.zeros(4), np.array([True, False, True, False])), np.log(2))
