from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.trainer.tower_windows import WINDOW, Sequences


def sequences(lengths: list[int]) -> Sequences:
    """Items number all events from 0, so that each is known by its item."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Sequences(offsets, np.arange(offsets[-1]), padding=10**6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 130), min_size=1, max_size=12).filter(any), st.integers(1, 5), st.integers(0, 99))
def test_every_event_is_a_target_once_after_its_own_past(lengths: list[int], size: int, seed: int) -> None:
    data = sequences(lengths)
    found: list[int] = []
    for batch in data.batches(size, np.random.default_rng(seed)):
        assert batch.targets.shape[1] <= WINDOW
        assert np.array_equal(batch.history, batch.targets[:, :-1])
        for user, row in zip(batch.users.tolist(), batch.targets, strict=True):
            real = row[row != data.padding]
            assert (np.diff(real) == 1).all()
            assert data.offsets[user] <= real[0] <= real[-1] < data.offsets[user + 1]
            found += real.tolist()
    assert sorted(found) == list(range(sum(lengths)))


def test_borders_move_with_every_pass() -> None:
    data, random = sequences([500]), np.random.default_rng(0)
    borders = [sorted(batch.targets[0, 0] for batch in data.batches(1, random)) for _ in range(2)]
    assert borders[0] != borders[1]


def test_the_newest_items_are_padded_at_the_end() -> None:
    history, lengths = sequences([2, 0, 5]).newest(np.array([0, 1, 2]), 3)
    assert history.tolist() == [[0, 1, 10**6], [10**6] * 3, [4, 5, 6]]
    assert lengths.tolist() == [2, 0, 3]


def test_held_out_items_leave_their_sequences() -> None:
    shorter, items = sequences([3, 2, 4]).without_last(np.array([0, 2]))
    assert items.tolist() == [2, 8]
    assert shorter.offsets.tolist() == [0, 2, 4, 7]
    assert shorter.items.tolist() == [0, 1, 3, 4, 5, 6, 7]
