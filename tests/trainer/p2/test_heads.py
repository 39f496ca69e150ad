"""What a rating is a label of, and what a part of the split may not know yet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from services.trainer.p2.heads import RETURN_S, head_labels
from tests.trainer.p2.small_log import rating_log


def test_like_and_love_are_thresholds_of_the_rating() -> None:
    log = rating_log()
    like, love, _ = head_labels(log, [len(log)]).T
    np.testing.assert_array_equal(like == 1, log.ratings >= 4)
    np.testing.assert_array_equal(love == 1, log.ratings >= 5)


def test_a_return_is_an_event_of_a_later_second_within_ten_minutes() -> None:
    log = rating_log(400)
    log = replace(log, seconds=log.seconds * 240)
    returns = head_labels(log, [len(log)])[:, 2]
    for event in np.flatnonzero(~np.isnan(returns)):
        wait = log.seconds[log.users == log.users[event]] - log.seconds[event]
        assert returns[event] == ((wait > 0) & (wait <= RETURN_S)).any()
    assert 0 < np.nanmean(returns) < 1


def test_a_part_is_not_told_what_happens_after_it() -> None:
    log = rating_log(400)
    log = replace(log, seconds=log.seconds * 240)
    end = log.second_start(0.5)
    returns = head_labels(log, [end, len(log)])[:, 2]
    rest = replace(
        log, users=log.users[:end], items=log.items[:end], seconds=log.seconds[:end], ratings=log.ratings[:end]
    )
    np.testing.assert_array_equal(head_labels(rest, [end])[:, 2], returns[:end])
    assert np.isnan(returns[end - 1])
