from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.ease import Ease, EaseConfig

WHOLE = EaseConfig(l2=2.0, kept=10**6)


def drawn(seed: int, users: int = 40, items: int = 12) -> list[NDArray[np.uint64]]:
    random = np.random.default_rng(seed)
    return [np.flatnonzero(random.random(items) < 0.4).astype(np.uint64) + 1 for _ in range(users)]


def weights_of(model: Ease) -> NDArray[np.float32]:
    return np.stack([model.transitions(item) for item in model.item_ids.tolist()])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.5, 50.0))
def test_the_weights_solve_the_ridge_regression_of_each_item_on_the_others(seed: int, l2: float) -> None:
    sequences = drawn(seed)
    model = Ease.fit(sequences, EaseConfig(l2=l2, kept=10**6))
    users = np.array([np.isin(model.item_ids, sequence) for sequence in sequences], np.float64)
    weights = weights_of(model)
    assert not np.diag(weights).any()
    for item in range(model.item_ids.size):
        others = np.arange(model.item_ids.size) != item
        x, y = users[:, others], users[:, item]
        ridge = np.linalg.solve(x.T @ x + l2 * np.eye(others.sum()), x.T @ y)
        np.testing.assert_allclose(weights[others, item], ridge, atol=1e-5)


def test_only_the_largest_weights_are_kept() -> None:
    sequences = drawn(1)
    whole, pruned = (weights_of(Ease.fit(sequences, EaseConfig(l2=2.0, kept=kept))) for kept in (10**6, 3))
    assert ((pruned != 0).sum(axis=1) == 3).all()
    kept = pruned != 0
    np.testing.assert_array_equal(pruned[kept], whole[kept])
    assert np.abs(whole[kept]).reshape(-1, 3).min(axis=1).min() >= np.sort(np.abs(whole), axis=1)[:, -3].min()


def test_rare_items_are_left_out_where_there_are_too_many() -> None:
    first, second, third = (np.array(items, np.uint64) for items in ([1, 2], [1, 2], [1, 9]))
    assert Ease.fit([first, second, third], EaseConfig(items=2)).item_ids.tolist() == [1, 2]


def test_the_newest_of_a_history_speaks_loudest() -> None:
    pairs = [np.array(pair, np.uint64) for pair in ([1, 2], [1, 2], [3, 4], [3, 4])]
    model = Ease.fit(pairs, WHOLE)
    after_one, after_three = (model.scores(np.array(history, np.uint64)) for history in ([3, 1], [1, 3]))
    assert after_one[1] > after_one[3] > 0
    assert after_three[3] > after_three[1] > 0


def test_what_was_saved_is_what_is_loaded(tmp_path: Path) -> None:
    model = Ease.fit(drawn(2), WHOLE)
    model.save(tmp_path)
    loaded = Ease.load(tmp_path)
    history = model.item_ids[[3, 0, 7]]
    np.testing.assert_array_equal(model.scores(history), loaded.scores(history))
