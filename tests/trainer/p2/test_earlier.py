"""Sums over earlier events are those of a loop."""

from __future__ import annotations

import numpy as np

from services.trainer.p2.earlier import Earlier


def test_earlier_sums_are_those_of_a_loop() -> None:
    for seed in range(10):
        random = np.random.default_rng(seed)
        keys, seconds = random.integers(0, 5, 80), np.sort(random.integers(0, 30, 80))
        values = random.normal(0, 1, (80, 2)).astype(np.float32)
        earlier = Earlier(keys, seconds)
        sums, idle, third, page = earlier.sums(values), earlier.since(), earlier.since(3), earlier.last_second()
        for event in range(80):
            past = np.flatnonzero((keys == keys[event]) & (seconds < seconds[event]))
            np.testing.assert_allclose(sums[event], values[past].sum(axis=0), atol=1e-5)
            expected = seconds[event] - seconds[past[-1]] if past.size else np.nan
            np.testing.assert_array_equal(idle[event], np.float32(expected))
            expected = seconds[event] - seconds[past[-3]] if past.size >= 3 else np.nan
            np.testing.assert_array_equal(third[event], np.float32(expected))
            assert page[event] == (seconds[past] == seconds[past[-1]]).sum() if past.size else page[event] == 0


def test_the_newest_of_the_past_are_a_window_that_ends_before_the_second() -> None:
    earlier = Earlier(np.zeros(6, np.int64), np.array([1, 2, 3, 4, 4, 5]))
    values = np.array([[1], [2], [4], [8], [16], [32]], np.float32)
    assert earlier.sums(values, newest=2)[:, 0].tolist() == [0, 1, 3, 6, 6, 24]
