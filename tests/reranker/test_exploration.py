"""The last place, drawn with a known probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reranker.rules.exploration import Explored, Policy, exploration, probabilities

SIZE, N, REACH = 12, 4, 5
SCORES = np.linspace(2, -1, SIZE).astype(np.float32)


def any_place(taken: Sequence[int], place: int) -> bool:
    return True


def drawn(seed: int, rate: float = 1.0, policy: Policy = "softmax", size: int = SIZE) -> Explored:
    return exploration(
        np.arange(size), SCORES, N, seed, any_place, rate=rate, reach=REACH, policy=policy, temperature=1.0
    )


def test_the_same_seed_gives_the_same_slate_and_others_do_not() -> None:
    first, again = drawn(7), drawn(7)
    assert first.outcome.kept.tolist() == again.outcome.kept.tolist()
    assert len({int(drawn(seed).outcome.kept[N - 1]) for seed in range(50)}) > 1


def test_only_the_last_place_changes_hands_and_only_to_candidates_below_the_cut() -> None:
    for seed in range(50):
        outcome = drawn(seed).outcome
        assert outcome.kept[: N - 1].tolist() == [0, 1, 2]
        assert N <= int(outcome.kept[N - 1]) < N + REACH
        assert [places.tolist() for places in outcome.removed.values()] == [[3]]
        assert sorted([*outcome.kept.tolist(), 3]) == list(range(SIZE))


@pytest.mark.parametrize("policy", ["softmax", "uniform"])
def test_logged_propensities_are_the_frequencies_of_what_is_shown(policy: Policy) -> None:
    rate, draws = 0.6, 4000
    seen: dict[int, list[float]] = {}
    for seed in range(draws):
        result = drawn(seed, rate, policy)
        seen.setdefault(int(result.outcome.kept[N - 1]), []).append(result.propensity)
    total = 0.0
    for logged in seen.values():
        assert len(set(logged)) == 1
        total += logged[0]
        assert len(logged) / draws == pytest.approx(logged[0], abs=4 * np.sqrt(logged[0] / draws))
    assert total == pytest.approx(1.0)


@given(st.lists(st.one_of(st.floats(-50, 50, width=32), st.just(float("nan"))), min_size=1, max_size=30))
def test_chances_add_up_to_one_and_follow_the_scores(scores: list[float]) -> None:
    values = np.array(scores, np.float32)
    for policy in ("softmax", "uniform"):
        chances = probabilities(values, policy, 0.7)
        assert chances.sum() == pytest.approx(1.0)
        assert (chances >= 0).all()
    known = np.flatnonzero(np.isfinite(values))
    softmax = probabilities(values, "softmax", 0.7)
    order = known[np.argsort(values[known])]
    assert (np.diff(softmax[order]) >= -1e-12).all()


def test_softmax_of_two_is_the_logistic_function() -> None:
    # Standardised, two scores lie 2 apart whatever they are: 1 / (1 + e^-2).
    assert probabilities(np.array([3.0, 1.0], np.float32), "softmax", 1.0)[0] == pytest.approx(1 / (1 + np.exp(-2)))


def test_nothing_below_the_cut_or_rate_zero_leaves_the_slate_as_it_was() -> None:
    for result in (drawn(1, size=N), drawn(1, rate=0.0)):
        assert not result.explored
        assert result.propensity == 1.0
        assert not result.outcome.removed
