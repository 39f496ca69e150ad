"""The protocol itself: ranks, ties, exclusion, intervals."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from services.trainer.data.interactions import Interactions
from services.trainer.p1 import METRICS, columns_of, compare_ranks, evaluate_ranks, ranks_of, ranks_table
from services.trainer.peers import PEERS, EasePeer, peer_ranks


def _interactions(sequences: dict[int, list[int]], catalog: list[int]) -> Interactions:
    """Users who turn to items a second apart."""
    start = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp())
    rows = [(user, item, start + place) for user, items in sequences.items() for place, item in enumerate(items)]
    events = pl.DataFrame(rows, schema={"user_id": pl.UInt64, "item_id": pl.UInt64, "ts": pl.Int64}, orient="row")
    return Interactions.of(
        pl.DataFrame({"user_id": list(sequences)}, schema={"user_id": pl.UInt64}),
        pl.DataFrame({"item_id": catalog}, schema={"item_id": pl.UInt64}),
        events.with_columns(
            type=pl.lit("watch"),
            ts=pl.from_epoch("ts", "s").dt.replace_time_zone("UTC"),
            value=pl.lit(4.0, dtype=pl.Float32),
        ),
    )


class _Fixed:
    """The same scores for everybody."""

    def __init__(self, *scores: float) -> None:
        self._scores = np.array(scores, np.float32)

    def scores(self, users: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.tile(self._scores, (users.size, 1))


def test_the_history_is_no_candidate_and_the_order_of_the_catalog_is_kept() -> None:
    interactions = _interactions({1: [10, 20, 30]}, catalog=[40, 30, 20, 10])
    assert ranks_of(_Fixed(0.5, 0.6, 0.9, 0.8), interactions).tolist() == [1.0]
    assert ranks_of(_Fixed(0.7, 0.6, 0.9, 0.8), interactions).tolist() == [2.0]


def test_ties_share_their_mean_rank() -> None:
    interactions = _interactions({1: [10, 30]}, catalog=[10, 20, 30, 40, 50])
    assert ranks_of(_Fixed(9, 1, 1, 1, 0), interactions).tolist() == [2.0]
    assert ranks_of(_Fixed(9, 1, 1, 0, 0), interactions).tolist() == [1.5]


def test_users_with_one_event_have_no_target() -> None:
    interactions = _interactions({1: [10], 2: [10, 20], 3: [20, 10]}, catalog=[10, 20, 30])
    assert ranks_of(_Fixed(1, 2, 3), interactions).tolist() == [2.0, 2.0]


def test_an_event_with_a_strange_item_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="Item 7 has events"):
        columns_of(np.array([9, 5], np.uint64), np.array([5, 7], np.uint64))


def test_the_metrics_of_known_ranks() -> None:
    found = evaluate_ranks(np.array([1.0, 3.0, 10.5, 50.0, 200.0, np.inf]))
    assert found["hr@10"] == pytest.approx(2 / 6)
    assert found["ndcg@10"] == pytest.approx((1 + 0.5) / 6)
    assert found["hr@50"] == pytest.approx(4 / 6)
    assert found["hr@200"] == pytest.approx(5 / 6)
    assert set(found) == {name + suffix for name in METRICS for suffix in ("", "_low", "_high")}


def test_the_interval_has_the_width_of_the_binomial() -> None:
    ranks = np.where(np.arange(6040) % 4 == 0, 1.0, 99.0)
    found = evaluate_ranks(ranks)
    error = np.sqrt(0.25 * 0.75 / 6040)
    assert found["hr@10"] - found["hr@10_low"] == pytest.approx(1.96 * error, rel=0.15)
    assert found["hr@10_high"] - found["hr@10"] == pytest.approx(1.96 * error, rel=0.15)


def test_a_paired_comparison_sees_a_small_steady_gain() -> None:
    draws = np.random.default_rng(0)
    others = draws.integers(1, 40, size=2000).astype(np.float64)
    ranks = np.where(draws.random(2000) < 0.03, 1.0, others)
    gain = compare_ranks(ranks, others)
    apart = evaluate_ranks(ranks), evaluate_ranks(others)
    assert gain["hr@10_low"] > 0
    assert apart[0]["hr@10_low"] < apart[1]["hr@10_high"]


def test_a_paired_comparison_needs_the_same_users() -> None:
    with pytest.raises(ValueError, match="same users"):
        compare_ranks(np.ones(3), np.ones(4))


def test_the_table_has_a_row_per_model() -> None:
    assert ranks_table({"a": np.ones(5), "b": np.full(5, 20.0)}).row_count == 2


def test_popularity_ranks_by_the_events_of_the_history_alone() -> None:
    interactions = _interactions({1: [10, 20], 2: [10, 30], 3: [20, 30]}, catalog=[10, 20, 30, 40])
    # Without the targets: item 10 twice, 20 once, 30 and 40 never.
    assert peer_ranks(interactions, "popularity").tolist() == [1.0, 2.5, 2.5]


def test_ease_is_the_ridge_regression_of_each_item_on_the_others() -> None:
    draws = np.random.default_rng(1)
    sequences = {user: draws.permutation(6)[: draws.integers(2, 5)].tolist() for user in range(40)}
    interactions = _interactions(sequences, catalog=list(range(6)))
    peer = EasePeer.fit(interactions)
    rows = peer.rows.toarray().astype(np.float64)
    for item in range(6):
        others = [other for other in range(6) if other != item]
        x, y = rows[:, others], rows[:, item]
        ridge = np.linalg.solve(x.T @ x + 300.0 * np.eye(5), x.T @ y)
        assert peer.weights[others, item] == pytest.approx(ridge, abs=1e-5)
    assert np.diag(peer.weights).tolist() == [0.0] * 6


@pytest.mark.parametrize("name", ["ials", "ease", "co_visitation"])
def test_every_peer_finds_the_group_of_a_user(name: str) -> None:
    """Two groups of users who never share an item: the target comes before every item of the other group."""
    draws = np.random.default_rng(2)
    groups = [list(range(1, 11)), list(range(11, 21))]
    sequences = {user: draws.permutation(groups[user % 2])[:7].tolist() for user in range(200)}
    ranks = peer_ranks(_interactions(sequences, catalog=groups[0] + groups[1]), name)
    assert ranks.size == 200
    assert ranks.max() <= 4.0


def test_the_peers_are_those_of_the_protocol() -> None:
    assert list(PEERS) == ["popularity", "ials", "ease", "co_visitation"]
