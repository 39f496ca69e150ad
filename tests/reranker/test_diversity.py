"""MMR and greedy DPP."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.items import ItemTable
from services.reranker.pool import Pool
from services.reranker.rules.diversity import Method, diversity, dpp, mmr
from tests.retrieval.features_peer import item_rows

Matrix = NDArray[np.float64]


def random_problem(seed: int, size: int) -> tuple[Matrix, Matrix]:
    """(size,) relevance and a (size, size) positive definite similarity with ones on the diagonal."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(size, size + 2))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return random.random(size), vectors @ vectors.T


def pool_of(genres: list[list[str]], scores: list[float]) -> Pool:
    ids = list(range(1, len(genres) + 1))
    return Pool.ordered(
        np.array(ids, np.uint64),
        np.array(scores, np.float32),
        ItemTable(item_rows(ids, genres, year=[1999.0] * len(ids))),
    )


def test_mmr_takes_the_less_relevant_item_when_the_next_best_repeats_the_first() -> None:
    relevance = np.array([1.0, 0.9, 0.6])
    similarity = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]])
    # After item 0: .5 * .9 - .5 * .8 = .05 against .5 * .6 - 0 = .3 (Carbonell & Goldstein, the formula by hand).
    assert mmr(relevance, similarity, 3, 0.5).tolist() == [0, 2, 1]


@given(seed=st.integers(0, 10_000), size=st.integers(1, 12), n=st.integers(1, 12))
def test_trade_off_one_is_the_order_of_relevance_for_both(seed: int, size: int, n: int) -> None:
    relevance, similarity = random_problem(seed, size)
    expected = np.argsort(-relevance, kind="stable")[:n].tolist()
    assert mmr(relevance, similarity, n, 1.0).tolist() == expected
    assert dpp(relevance, similarity, n, 1.0).tolist() == expected


def greedy_by_determinants(relevance: Matrix, similarity: Matrix, n: int, trade_off: float) -> list[int]:
    """Each step tries every candidate and keeps the one that makes the determinant largest."""
    quality = np.exp(trade_off / (2 * (1 - trade_off)) * relevance)
    kernel = quality[:, None] * similarity * quality[None, :]
    picks: list[int] = []
    for _ in range(n):
        left = [place for place in range(relevance.size) if place not in picks]
        volumes = [np.linalg.det(kernel[np.ix_([*picks, place], [*picks, place])]) for place in left]
        picks.append(left[int(np.argmax(volumes))])
    return picks


@given(seed=st.integers(0, 10_000), size=st.integers(2, 9), trade_off=st.floats(0.1, 0.9))
@settings(deadline=None)
def test_greedy_dpp_makes_the_determinant_largest_at_every_step(seed: int, size: int, trade_off: float) -> None:
    relevance, similarity = random_problem(seed, size)
    n = max(1, size // 2)
    assert dpp(relevance, similarity, n, trade_off).tolist() == greedy_by_determinants(
        relevance, similarity, n, trade_off
    )


def test_greedy_dpp_of_two_is_the_best_pair_when_one_item_stands_out() -> None:
    relevance, similarity = random_problem(3, 8)
    relevance[5] = 6.0
    kernel = np.exp(relevance)[:, None] * similarity * np.exp(relevance)[None, :]
    best = max(combinations(range(8), 2), key=lambda pair: float(np.linalg.det(kernel[np.ix_(pair, pair)])))
    assert sorted(dpp(relevance, similarity, 2, 2 / 3).tolist()) == list(best)


def test_dpp_fills_up_by_relevance_when_everything_is_the_same() -> None:
    assert dpp(np.array([0.1, 0.9, 0.5]), np.ones((3, 3)), 3, 0.5).tolist() == [1, 2, 0]


@pytest.mark.parametrize("method", ["mmr", "dpp"])
@given(seed=st.integers(0, 10_000), size=st.integers(1, 40), n=st.integers(1, 15), reach=st.integers(1, 40))
@settings(deadline=None, max_examples=50)
def test_diversity_never_loses_or_invents_a_candidate(method: Method, seed: int, size: int, n: int, reach: int) -> None:
    random = np.random.default_rng(seed)
    genres = [random.choice(["a", "b", "c", "d"], random.integers(0, 4), replace=False).tolist() for _ in range(size)]
    pool = pool_of(genres, random.normal(size=size).tolist())
    order = np.arange(size)
    outcome = diversity(pool, order, n, method=method, trade_off=0.5, reach=reach)
    removed = [place for places in outcome.removed.values() for place in places.tolist()]
    assert sorted([*outcome.kept.tolist(), *removed]) == order.tolist()
    assert set(removed) <= set(order[:n].tolist())


@pytest.mark.parametrize("method", ["mmr", "dpp"])
def test_an_item_of_another_genre_comes_up_and_the_one_displaced_is_named(method: Method) -> None:
    pool = pool_of([["Drama"], ["Drama"], ["Comedy"], ["Drama"]], [1.0, 0.9, 0.8, 0.0])
    outcome = diversity(pool, np.arange(4), 2, method=method, trade_off=0.4, reach=4)
    assert outcome.kept[:2].tolist() == [0, 2]
    ((reason, displaced),) = outcome.removed.items()
    assert "too much like" in reason
    assert displaced.tolist() == [1]


def test_similarity_is_a_kernel_and_unknown_items_are_like_nothing() -> None:
    random = np.random.default_rng(0)
    ids = list(range(1, 31))
    genres = [random.choice(["a", "b", "c"], random.integers(0, 4), replace=False).tolist() for _ in ids]
    table = ItemTable(item_rows(ids[:25], genres[:25], year=random.integers(1930, 2000, 25).tolist()))
    pool = Pool.ordered(np.array(ids, np.uint64), np.ones(30, np.float32), table)
    similarity = pool.similarity(np.arange(30))
    assert np.linalg.eigvalsh(similarity).min() > -1e-9
    np.testing.assert_array_equal(similarity[25:], np.eye(30)[25:])
