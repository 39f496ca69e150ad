"""Drafts: what is proposed, and when it pays."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.llm.engine.drafts import MARGIN, Acceptance, NgramIndex, StepCosts, lengths_that_pay

FLAT = StepCosts({1: 1.0, 64: 1.0})
STEEP = StepCosts({1: 1.0, 2: 2.0, 64: 64.0})


def proposed(tokens: list[int], count: int = 3) -> list[int]:
    index = NgramIndex()
    index.extend(tokens)
    return index.propose(count)


def test_what_followed_the_same_run_before_is_proposed() -> None:
    assert proposed([1, 2, 3, 4, 5, 9, 2, 3]) == [4, 5, 9]


def test_the_longest_run_decides_and_of_equals_the_latest() -> None:
    assert proposed([1, 2, 3, 7, 9, 2, 3, 8, 0, 1, 2, 3]) == [7, 9, 2]
    assert proposed([2, 3, 7, 2, 3, 8, 2, 3], 1) == [8]


def test_a_repetition_is_carried_on() -> None:
    assert proposed([5, 6, 5, 6, 5, 6], 4) == [5, 6, 5, 6]


def test_nothing_is_proposed_for_what_is_new() -> None:
    assert proposed([1, 2, 3, 4]) == proposed([1]) == proposed([]) == []


@given(tokens=st.lists(st.integers(0, 3), max_size=40), cut=st.integers(0, 40))
def test_growing_token_by_token_proposes_the_same(tokens: list[int], cut: int) -> None:
    index = NgramIndex()
    index.extend(tokens[:cut])
    index.extend(tokens[cut:])
    assert index.propose(4) == proposed(tokens, 4)


def test_a_draft_pays_when_rows_are_free_and_not_when_each_costs_a_step() -> None:
    assert lengths_that_pay([0.5], [4], 1, FLAT) == [4]
    assert lengths_that_pay([0.9], [4], 1, STEEP) == [0]


def test_a_draft_for_one_of_many_must_pay_for_an_attention_call_of_its_own() -> None:
    cheap, dear = (StepCosts({1: 1.0, 64: 1.5}, group_seconds=seconds) for seconds in (0.0, 0.5))
    assert lengths_that_pay([0.9, 0.1], [2, 0], 2, cheap) == [2, 0]
    assert lengths_that_pay([0.9, 0.1], [2, 0], 4, dear) == [0, 0]
    assert lengths_that_pay([0.9], [2], 1, dear) == [2]
    # Together they are one group again.
    assert lengths_that_pay([0.6] * 4, [2] * 4, 4, dear) == [2] * 4


def test_refusals_end_drafting_and_time_brings_it_back() -> None:
    costs, acceptance = StepCosts({1: 1.0, 2: 1.1, 4: 1.3, 64: 8.0}), Acceptance()
    assert lengths_that_pay([acceptance.rate], [4], 1, costs) != [0]
    for _ in range(10):
        acceptance.observe(4, 0)
    assert lengths_that_pay([acceptance.rate], [4], 1, costs) == [0]
    for _ in range(300):
        acceptance.heal()
    assert lengths_that_pay([acceptance.rate], [4], 1, costs) != [0]


def test_a_noisy_measurement_makes_no_row_cheaper_than_fewer() -> None:
    costs = StepCosts({1: 2.0, 2: 1.0, 4: 3.0})
    assert [costs.of(rows) for rows in (1, 2, 3, 4, 8)] == [2.0, 2.0, 2.5, 3.0, 5.0]


@given(
    rates=st.lists(st.floats(0.0, 0.99), min_size=1, max_size=3), slope=st.floats(0.01, 1.0), rows=st.integers(3, 12)
)
@settings(deadline=None)
def test_what_is_chosen_is_the_best_common_length_or_nothing(rates: list[float], slope: float, rows: int) -> None:
    costs = StepCosts({1: 1.0, 101: 1.0 + 100 * slope}, group_seconds=0.2)

    def speed(lengths: tuple[int, ...] | list[int]) -> float:
        gain = sum(rate**n for rate, length in zip(rates, lengths, strict=True) for n in range(1, length + 1))
        drafting = sum(length > 0 for length in lengths)
        return (rows + gain) / costs.of(rows + sum(lengths), 1 if drafting in (0, rows) else 2)

    chosen = lengths_that_pay(rates, [3] * len(rates), rows, costs)
    best = max(speed(lengths) for lengths in product(range(4), repeat=len(rates)) if len({*lengths, 0}) <= 2)
    worth = speed([0] * len(rates)) * MARGIN
    assume(abs(best - worth) > 1e-6)
    assert speed(chosen) == pytest.approx(best if best > worth else speed([0] * len(rates)))
