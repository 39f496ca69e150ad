"""A log read from the lake is on the clock that its ratings were made on."""

from __future__ import annotations

import numpy as np

from services.trainer.p2.log import RatingLog
from tests.trainer.p2.small_log import SHIFT_US, lake_tables, rating_log, ties_of


def test_a_log_read_from_a_lake_has_its_ties_again() -> None:
    log = rating_log()
    again = RatingLog.of(*lake_tables(log))
    order = np.lexsort((ties_of(log), log.seconds))
    np.testing.assert_array_equal(again.seconds - SHIFT_US // 1_000_000, log.seconds[order])
    assert again.shift_us == SHIFT_US % 1_000_000
    np.testing.assert_array_equal(again.users, log.users[order])
    np.testing.assert_array_equal(again.ratings, log.ratings[order])
    np.testing.assert_array_equal(again.genres, log.genres)
    np.testing.assert_array_equal(again.profiles["occupation"], 0)


def test_a_share_ends_at_the_beginning_of_a_second() -> None:
    log = rating_log()
    for share in (0.1, 0.5, 0.8, 0.9):
        end = log.second_start(share)
        assert log.seconds[end - 1] < log.seconds[end]
        assert abs(end / len(log) - share) < 0.05
