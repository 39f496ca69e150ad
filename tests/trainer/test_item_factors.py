from __future__ import annotations

import numpy as np

from services.trainer.item_factors import pair_counts, ppmi_factors


def test_pairs_count_one_over_their_distance_within_a_user() -> None:
    offsets, items = np.array([0, 3, 5]), np.array([0, 1, 2, 2, 0])
    counts = pair_counts(offsets, items, size=3, window=2).toarray()
    # 0-1 and 1-2 next to each other, 0-2 once at distance two and once, by the second user, at distance one.
    assert counts.tolist() == [[0, 1, 1.5], [1, 0, 1], [1.5, 1, 0]]


def test_items_that_keep_company_lie_close() -> None:
    random = np.random.default_rng(0)
    groups = [random.permutation(10) + 10 * (user % 2) for user in range(200)]
    offsets = np.arange(0, 2001, 10)
    factors = ppmi_factors(offsets, np.concatenate(groups), size=20, width=2, window=5, seed=0)
    unit = factors / np.linalg.norm(factors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    assert cosines[:10, :10].min() > 0.5
    assert cosines[:10, 10:].max() < 0.5


def test_fewer_items_than_columns_and_items_without_company_have_finite_vectors() -> None:
    factors = ppmi_factors(np.array([0, 2]), np.array([0, 1]), size=3, width=8, window=5, seed=0)
    assert factors.shape == (3, 8)
    assert np.isfinite(factors).all()
    assert (np.linalg.norm(factors, axis=1) > 0).all()
