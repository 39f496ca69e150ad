from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.trainer.tower_windows import WINDOW, Sequences


def sequences(lengths: list[int]) -> Sequences:
    """Items number all events from 0, so that each is known by its item."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Sequences(offsets, np.arange(offsets[-1]), 1000 * 4 ** np.arange(offsets[-1]).clip(0, 12), padding=10**6)


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


def test_a_place_knows_the_wait_before_its_target_and_none_before_its_window() -> None:
    (batch,) = sequences([5]).batches(1, np.random.default_rng(0))
    # 1, 4, 16, ... seconds: each wait is three times the time of the event before it.
    assert batch.waited.tolist() == [[0, 3, 5, 7, 9]]


def test_the_newest_items_are_padded_at_the_end() -> None:
    history, waited, lengths = sequences([2, 0, 5]).newest(np.array([0, 1, 2]), 3, np.array([4000, 5000, 0]))
    assert history.tolist() == [[0, 1, 10**6], [10**6] * 3, [4, 5, 6]]
    # Within a second of the newest; nobody to wait after; and a moment nobody knows.
    assert waited.tolist() == [[0, 3, 1, 0], [0] * 4, [0, 11, 13, 0]]
    assert lengths.tolist() == [2, 0, 3]


def test_held_out_items_leave_their_sequences() -> None:
    shorter, items, times_ms = sequences([3, 2, 4]).without_last(np.array([0, 2]))
    assert items.tolist() == [2, 8]
    assert times_ms.tolist() == [16_000, 65_536_000]
    assert shorter.times_ms.tolist() == [1000 * 4**place for place in (0, 1, 3, 4, 5, 6, 7)]
    assert shorter.offsets.tolist() == [0, 2, 4, 7]
    assert shorter.items.tolist() == [0, 1, 3, 4, 5, 6, 7]
