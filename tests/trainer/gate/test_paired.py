from __future__ import annotations

import numpy as np
import pytest

from services.trainer.gate.paired import compare, holm

USERS = np.repeat(np.arange(60, dtype=np.uint64), 5)


def test_the_interval_covers_the_true_difference_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        taste = np.repeat(random.normal(size=60), 5)  # cases of one user are alike
        base = random.normal(size=300)
        found = compare(base, base + 0.1 + taste + random.normal(size=300), USERS, seed=1, resamples=300)
        covered += found.low <= 0.1 <= found.high
    assert 0.90 <= covered / 300 <= 0.98  # 0.95 give or take four standard errors, bootstraps of 60 being a bit narrow


def test_weights_make_a_weighted_mean() -> None:
    found = compare(
        np.zeros(3), np.array([1.0, 2.0, 6.0]), np.arange(3, dtype=np.uint64), seed=0, weights=np.array([2.0, 1, 1])
    )
    assert found.mean == pytest.approx((2 * 1 + 2 + 6) / 4)


def test_one_user_bounds_nothing() -> None:
    found = compare(np.zeros(50), np.ones(50), np.zeros(50, np.uint64), seed=0)
    assert (found.low, found.high) == (-np.inf, np.inf)
    assert not found.surely_better()


def test_a_loss_within_the_tolerance_is_not_a_sure_one() -> None:
    base = np.random.default_rng(0).normal(size=300)
    lower = compare(base, base - 0.05 + np.random.default_rng(1).normal(0, 0.01, 300), USERS, seed=0)
    assert lower.surely_worse(0.01)
    assert not lower.surely_worse(0.1)
    assert lower.p_worse(0.01) < 0.01 < 0.9 < lower.p_worse(0.1)
    loss = compare(base, base + 0.05, USERS, seed=0, lower_is_better=True)
    assert loss.surely_worse(0.01)
    assert str(loss).startswith("worse by 0.0500")


def test_holm_is_that_of_the_worked_example() -> None:
    # Holm 1979, section 3's procedure on four p-values, by hand: .005*4, .01*3, .03*2, and .04 may not be smaller.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
