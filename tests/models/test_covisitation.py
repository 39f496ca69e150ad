from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.covisitation import CoVisitation, CoVisitationConfig

SHORT = CoVisitationConfig(window=2, decay=0.5, last=2)


def ids(*numbers: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(numbers, np.uint64)


def test_weights_are_those_counted_by_hand() -> None:
    model = CoVisitation.fit([ids(1, 2, 3), ids(1, 3)], SHORT)
    # 1 -> 2 once at distance 1; 1 -> 3 once at distance 2 (half) and once at distance 1; item 1 came twice.
    assert model.transitions(1).tolist() == [0.0, 0.5, 0.75]
    assert model.transitions(2).tolist() == [0.0, 0.0, 1.0]


def test_order_matters() -> None:
    assert CoVisitation.fit([ids(1, 2)], SHORT).transitions(2).tolist() == [0.0, 0.0]


def test_the_newest_item_speaks_loudest_and_is_named() -> None:
    model = CoVisitation.fit([ids(1, 3), ids(2, 3)], SHORT)
    scores, because = model.explained(ids(1, 2))
    assert scores.tolist() == pytest.approx([0, 0, 1.5])
    assert because.tolist() == [0, 0, 2]
    assert model.explained(ids(2, 1))[1].tolist() == [0, 0, 1]


def test_only_the_last_items_speak() -> None:
    model = CoVisitation.fit([ids(1, 3), ids(2, 4)], SHORT)
    assert model.scores(ids(1, 2, 9)).tolist() == pytest.approx([0, 0, 0, 0.5])


def test_an_unknown_item_says_nothing() -> None:
    model = CoVisitation.fit([ids(1, 2)], SHORT)
    assert model.scores(ids(99)).tolist() == [0, 0]
    assert model.transitions(99).tolist() == [0, 0]


def test_pairs_do_not_cross_from_one_user_to_the_next() -> None:
    assert CoVisitation.fit([ids(1), ids(2)], SHORT).transitions(1).tolist() == [0, 0]


def test_the_sparse_fit_equals_counting_pair_by_pair() -> None:
    random = np.random.default_rng(3)
    sequences = [random.permutation(np.arange(1, 40, dtype=np.uint64))[: random.integers(0, 30)] for _ in range(20)]
    model = CoVisitation.fit(sequences, CoVisitationConfig(window=4))
    flat = np.concatenate(sequences)
    for item in model.item_ids.tolist():
        expected = np.zeros(model.item_ids.size)
        for sequence in sequences:
            for at in np.flatnonzero(sequence == item):
                for distance, other in enumerate(sequence[at + 1 : at + 5], 1):
                    expected[np.searchsorted(model.item_ids, other)] += 1 / distance
        np.testing.assert_allclose(model.transitions(item), expected / (flat == item).sum(), rtol=1e-6)


def test_what_was_saved_scores_the_same(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    model = CoVisitation.fit([random.integers(1, 50, 40).astype(np.uint64) for _ in range(10)])
    model.save(tmp_path)
    again = CoVisitation.load(tmp_path)
    history = random.integers(1, 60, 30).astype(np.uint64)
    np.testing.assert_array_equal(model.scores(history), again.scores(history))
    np.testing.assert_array_equal(model.explained(history)[1], again.explained(history)[1])


def test_scores_are_the_decayed_sum_of_what_each_item_says_and_name_who_said_most() -> None:
    random = np.random.default_rng(5)
    config = CoVisitationConfig()
    model = CoVisitation.fit([random.integers(1, 50, 40).astype(np.uint64) for _ in range(10)], config)
    for length in (0, 1, 7, 40):
        history = random.integers(1, 60, length).astype(np.uint64)
        newest = history[::-1][: config.last].tolist()
        said = [np.float32(config.decay**place) * model.transitions(item) for place, item in enumerate(newest)]
        table = np.array([np.zeros(model.item_ids.size), *said])
        scores, because = model.explained(history)
        np.testing.assert_allclose(scores, table.sum(axis=0), rtol=1e-5)
        np.testing.assert_array_equal(scores, model.scores(history))
        assert because.tolist() == [[0, *newest][place] for place in table.argmax(axis=0)]
