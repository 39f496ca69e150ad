"""How many users at which second."""

from __future__ import annotations

import pytest

from loadtests.shapes import Ramp, Soak


def test_a_ramp_climbs_in_equal_steps_that_stand_equally_long_and_then_ends() -> None:
    ramp = Ramp(target_users=40, seconds=80.0, steps=4)
    users = [ramp.users_at(float(second)) for second in range(80)]
    assert [users.count(step) for step in (10, 20, 30, 40)] == [20, 20, 20, 20]
    assert users == sorted(user for user in users if user is not None)
    assert ramp.users_at(80.0) is None


def test_a_ramp_to_fewer_users_than_steps_still_begins_with_one() -> None:
    ramp = Ramp(target_users=2, seconds=8.0, steps=8)
    assert [ramp.users_at(float(second)) for second in range(8)] == [1, 1, 1, 1, 2, 2, 2, 2]


def test_a_soak_stays_the_same_and_then_ends() -> None:
    soak = Soak(target_users=30, seconds=600.0)
    assert {soak.users_at(second) for second in (0.0, 300.0, 599.9)} == {30}
    assert soak.users_at(600.0) is None
    assert soak.spawn_rate == 6.0


def test_a_length_of_nothing_names_its_option() -> None:
    with pytest.raises(ValueError, match="--ramp-seconds must be more than 0, not 0"):
        Ramp(target_users=4, seconds=0.0)
    with pytest.raises(ValueError, match="--soak-seconds must be more than 0"):
        Soak(target_users=4, seconds=0.0)
