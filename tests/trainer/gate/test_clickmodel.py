from __future__ import annotations

import numpy as np
import pytest

from services.trainer.gate.clickmodel import calibration_error, click_probabilities, log_losses

ROWS = 20_000


def test_the_same_probabilities_come_from_scores_in_any_unit() -> None:
    random = np.random.default_rng(0)
    scores, positions = random.normal(size=ROWS), random.integers(1, 11, ROWS)
    clicked = (random.random(ROWS) < 1 / (1 + np.exp(2 - scores))).astype(float)
    known = np.arange(ROWS) < ROWS // 2
    one, other = (click_probabilities(s, positions, clicked, known) for s in (scores, 1000 * scores - 7))
    np.testing.assert_allclose(one, other, atol=1e-6)
    np.testing.assert_allclose(one, 1 / (1 + np.exp(2 - scores)), atol=0.02)


def test_a_place_that_is_looked_at_less_is_no_fault_of_the_score() -> None:
    random = np.random.default_rng(0)
    positions = np.tile(np.arange(1, 11), ROWS // 10)
    clicked = (random.random(ROWS) < 0.3 / positions).astype(float)
    known = np.arange(ROWS) < ROWS // 2
    # A score that only repeats the order of the slate has nothing to add to the place.
    ordered, idle = (
        log_losses(click_probabilities(scores, positions, clicked, known), clicked)[~known].mean()
        for scores in (-np.log2(positions), random.normal(size=ROWS))
    )
    assert ordered == pytest.approx(idle, abs=1e-3)


def test_scores_upside_down_are_not_turned_around() -> None:
    random = np.random.default_rng(0)
    scores, positions = random.normal(size=ROWS), np.ones(ROWS, np.int64)
    clicked = (random.random(ROWS) < 1 / (1 + np.exp(-scores))).astype(float)
    known = np.arange(ROWS) < ROWS // 2
    losses = [log_losses(click_probabilities(s, positions, clicked, known), clicked).mean() for s in (scores, -scores)]
    assert losses[1] >= np.log(2) > losses[0] + 0.05


def test_calibration_error_by_hand() -> None:
    # Two bins of equal mass: (.1, .3) with one click, (.5, .9) with one click: (|.4 - 1| + |1.4 - 1|) / 4.
    assert calibration_error(np.array([0.9, 0.1, 0.5, 0.3]), np.array([0.0, 1, 1, 0]), bins=2) == pytest.approx(0.25)


def test_log_losses_by_hand() -> None:
    assert log_losses(np.array([0.25, 0.25]), np.array([1.0, 0])) == pytest.approx([-np.log(0.25), -np.log(0.75)])
