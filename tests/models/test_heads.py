"""Objectives: the click alone is the click's order, weights move the order their way, and probabilities are ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from models.heads import Heads, wrong_with

NAMES = ("click", "like", "love", "return")
HEADS = Heads(NAMES, (1.0, 0.0, 0.0, 0.0))
LOGITS = arrays(np.float32, st.tuples(st.integers(2, 12), st.just(4)), elements=st.floats(-12, 12, width=32))
WEIGHTS = st.lists(st.floats(-5, 5), min_size=4, max_size=4).map(lambda values: dict(zip(NAMES, values, strict=True)))


@given(LOGITS)
def test_the_click_alone_scores_as_the_click_head(logits: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(HEADS.combined(logits, HEADS.weights({"click": 1.0})), logits[:, 0])


@given(LOGITS, WEIGHTS, st.integers(0, 3), st.floats(0.01, 5))
def test_more_weight_never_takes_a_candidate_with_more_of_a_head_further_down(
    logits: NDArray[np.float32], weights: dict[str, float], head: int, more: float
) -> None:
    lighter = HEADS.combined(logits, weights).astype(np.float64)
    heavier = HEADS.combined(logits, weights | {NAMES[head]: weights[NAMES[head]] + more}).astype(np.float64)
    order = np.argsort(logits[:, head], kind="stable")
    gained = (heavier - lighter)[order]
    assert (np.diff(gained) >= -1e-3).all()


def test_the_score_is_the_logarithm_of_the_product_of_what_the_heads_say() -> None:
    logits = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    chances = HEADS.probabilities(logits).astype(np.float64)
    scores = HEADS.combined(logits, {"click": 1.0, "like": 1.0, "love": 0.0, "return": 2.0})
    product = chances[:, 0] * chances[:, 1] * chances[:, 3] ** 2
    # The list's own constant, the same for all candidates, is left out of the score.
    np.testing.assert_allclose(np.diff(scores), np.diff(np.log(product)), atol=1e-5)


def test_a_click_is_a_share_of_the_list_or_a_chance_of_its_own() -> None:
    logits = np.array([[0, 0, 2, -2], [np.log(3), 0, 2, -2]], np.float32)
    shares = HEADS.probabilities(logits)
    np.testing.assert_allclose(shares[:, 0], [0.25, 0.75], atol=1e-6)
    own = Heads(NAMES, HEADS.defaults, listwise=False).probabilities(logits)
    np.testing.assert_allclose(own[:, 0], [0.5, 0.75], atol=1e-6)
    np.testing.assert_array_equal(own[:, 1:], shares[:, 1:])
    np.testing.assert_allclose(own[0, 1:], 1 / (1 + np.exp([0.0, -2.0, 2.0])), atol=1e-6)
    assert HEADS.probabilities(logits[:0]).shape == (0, 4)


def test_a_head_that_is_left_out_weighs_nothing_and_a_stranger_leaves_the_defaults() -> None:
    assert HEADS.weights({"like": 2.0}) == {"click": 0.0, "like": 2.0, "love": 0.0, "return": 0.0}
    assert HEADS.weights({"buy": 2.0}) == HEADS.weights({}) == {"click": 1.0, "like": 0.0, "love": 0.0, "return": 0.0}


@pytest.mark.parametrize(("weights", "sentence"), [
    ({"buy": 1.0}, "There is no head 'buy'; there are click, like, love, return."),
    ({"click": float("nan")}, "The weight of 'click' must be a number from -100 to 100."),
    ({"click": -100.1}, "The weight of 'click' must be a number from -100 to 100."),
    ({"click": 0.0}, "At least one head must weigh something other than 0."),
    ({}, "At least one head must weigh something other than 0."),
    ({"click": 1.0, "return": -2.0}, None),
])  # fmt: skip
def test_weights_that_order_nothing_are_told_why(weights: dict[str, float], sentence: str | None) -> None:
    assert wrong_with(weights, HEADS) == sentence


def test_a_manifest_tells_the_heads_and_how_the_click_was_fitted() -> None:
    config = {"shape": {"heads": ["click", "like"], "value": [1, 0]}, "fit": {"objective": "binary"}}
    assert Heads.of(config) == Heads(("click", "like"), (1.0, 0.0), listwise=False)
    assert Heads.of({"width": 16, "objective": "listwise"}) is None
