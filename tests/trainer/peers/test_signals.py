"""The signals of the two-stage peer, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from services.trainer.data.interactions import Interactions
from services.trainer.peers.facts import FACTS, ItemFacts
from services.trainer.peers.signals import PAIR_SIGNALS, Signals
from services.trainer.peers.task import columns
from tests.trainer.small_interactions import ring, small


def _signals(history: Interactions) -> Signals:
    return Signals.fit(history, history.times_ms[history.offsets[1:] - 1] + 7_000)


def test_there_are_thirty_odd_signals_and_each_has_a_name() -> None:
    signals = _signals(ring(30))
    found = signals.candidates(0)
    assert signals.features(0, found).shape == (found.places.size, len(PAIR_SIGNALS) + len(FACTS))
    assert 30 <= len(PAIR_SIGNALS) + len(FACTS) <= 35


def test_candidates_are_new_to_the_user() -> None:
    history = ring(30)
    signals = _signals(history)
    for user in range(30):
        assert not np.isin(signals.candidates(user).places, columns(history)[signals.offsets[user] :][:14]).any()


def test_what_follows_is_told_per_event_and_direction() -> None:
    history = small({1: [1, 2], 2: [1, 2, 3], 3: [4, 1], 4: [1]}, catalog=[1, 2, 3, 4])
    signals = _signals(history)
    found = signals.candidates(3)
    row = dict(zip(PAIR_SIGNALS, signals.features(3, found)[found.places.tolist().index(1)].tolist(), strict=False))
    # Item 2 came right after item 1 in two of its four events.
    assert row["follow"] == row["follow_0"] == row["next_0"] == pytest.approx(0.5)
    assert row["follow_rank"] == 0.0
    assert row["followed_by_0"] == 0.0
    assert row["near_0"] == pytest.approx(2 / np.sqrt(4 * 2))


def test_the_facts_of_a_moment() -> None:
    history = small({1: [1, 2, 3], 2: [2, 1]}, catalog=[1, 2, 3])
    facts = ItemFacts.fit(history, columns(history), history.times_ms[history.offsets[1:] - 1] + 7_000)
    row = dict(zip(FACTS, facts.of(1, np.array([0, 1]), np.array([2]))[0].tolist(), strict=True))
    assert row["log_count"] == pytest.approx(np.log(2))
    assert row["count_gap"] == pytest.approx(np.log(2) - np.log(3))
    assert row["place_gap"] == pytest.approx(np.log(3) - np.log(3), abs=1e-6)
    assert row["log_idle_s"] == pytest.approx(np.log(8))
    assert row["log_pace_s"] == pytest.approx(np.log(2))
    assert row["same_second"] == 1
    assert row["mean_value"] == row["user_mean_value"] == 4
    assert np.isnan(row["year_gap"])
