"""Each peer is the model whose name it bears."""

from __future__ import annotations

import numpy as np
import pytest

from services.trainer.p1 import evaluate_ranks
from services.trainer.peers import PEERS, EasePeer, fit_peer, peer_ranks, peers_of
from services.trainer.peers.counts import NeighbourPeer
from services.trainer.peers.task import Task
from tests.trainer.small_interactions import ring, small


def test_popularity_ranks_by_the_events_of_the_history_alone() -> None:
    interactions = small({1: [10, 20], 2: [10, 30], 3: [20, 30]}, catalog=[10, 20, 30, 40])
    # Without the targets: item 10 twice, 20 once, 30 and 40 never.
    assert peer_ranks(interactions, "popularity").tolist() == [1.0, 2.5, 2.5]


def test_ease_is_the_ridge_regression_of_each_item_on_the_others() -> None:
    draws = np.random.default_rng(1)
    sequences = {user: draws.permutation(6)[: draws.integers(2, 5)].tolist() for user in range(40)}
    interactions = small(sequences, catalog=list(range(6)))
    peer = EasePeer.fit(interactions)
    rows = peer.rows.toarray().astype(np.float64)
    for item in range(6):
        others = [other for other in range(6) if other != item]
        x, y = rows[:, others], rows[:, item]
        ridge = np.linalg.solve(x.T @ x + 300.0 * np.eye(5), x.T @ y)
        assert peer.weights[others, item] == pytest.approx(ridge, abs=1e-5)
    assert np.diag(peer.weights).tolist() == [0.0] * 6


@pytest.mark.parametrize("name", ["bpr", "item_knn", "ials", "ease", "ease_recency", "co_visitation", "two_stage"])
def test_every_peer_finds_the_group_of_a_user(name: str) -> None:
    """Two groups of users who never share an item: the target comes before every item of the other group."""
    draws = np.random.default_rng(2)
    groups = [list(range(1, 11)), list(range(11, 21))]
    sequences = {user: draws.permutation(groups[user % 2])[:7].tolist() for user in range(200)}
    ranks = peer_ranks(small(sequences, catalog=groups[0] + groups[1]), name)
    assert ranks.size == 200
    assert ranks.max() <= 4.0


def test_the_neighbours_of_an_item_are_weighed_by_their_cosine() -> None:
    peer = NeighbourPeer.fit(small({1: [1, 2], 2: [1, 2, 3], 3: [2]}, catalog=[1, 2, 3]))
    # Items 1 and 2 have two users in common, of two and of three.
    assert peer.weights.toarray()[0].tolist() == pytest.approx([0, 2 / np.sqrt(6), 1 / np.sqrt(2)])
    assert peer.scores(np.array([2]))[0].tolist() == pytest.approx([2 / np.sqrt(6), 0, 1 / np.sqrt(3)])


def test_the_fading_history_weighs_the_newest_item_most() -> None:
    draws = np.random.default_rng(3)
    interactions = small({user: draws.permutation(9)[:5].tolist() for user in range(50)}, catalog=list(range(9)))
    plain = fit_peer(interactions, "ease")
    assert isinstance(plain, EasePeer)
    history = interactions.leave_last(1).sequences[7].astype(np.int64)[::-1]
    wanted = sum(0.8**place * plain.weights[item] for place, item in enumerate(history))
    assert fit_peer(interactions, "ease_recency").scores(np.array([7]))[0] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("name", ["co_visitation", "two_stage"])
def test_the_peers_that_read_the_order_find_the_next_on_the_ring(name: str) -> None:
    ranks = peer_ranks(ring(120), name)
    assert evaluate_ranks(ranks)["hr@10"] == 1.0
    assert evaluate_ranks(peer_ranks(ring(120), "popularity"))["hr@10"] < 0.5


@pytest.mark.parametrize("name", ["bpr", "ials", "two_stage"])
def test_a_peer_that_draws_gives_the_same_for_the_same_seed_and_another_for_another(name: str) -> None:
    first, again, other = (peer_ranks(ring(120, seed=5), name, seed).tolist() for seed in (1, 1, 2))
    assert first == again
    assert PEERS[name].drawn
    scores = [fit_peer(ring(120, seed=5), name, seed).scores(np.arange(3)).tolist() for seed in (1, 2)]
    assert first != other or scores[0] != scores[1]


def test_a_peer_may_know_when_it_is_asked_but_not_for_what() -> None:
    interactions = small({1: [10, 20, 30], 2: [20, 10]}, catalog=[10, 20, 30])
    task = Task.of(interactions)
    assert task.history.sequences[0].tolist() == [10, 20]
    assert task.at_ms.tolist() == [interactions.times_ms[2], interactions.times_ms[4]]


def test_the_peers_are_those_of_the_protocol() -> None:
    assert list(PEERS) == [
        "popularity", "bpr", "item_knn", "ials", "ease", "ease_recency", "co_visitation", "two_stage",
    ]  # fmt: skip


def test_peers_with_a_number_per_pair_are_left_out_of_a_catalog_whose_square_is_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interactions = ring(8)
    assert peers_of(interactions) == list(PEERS)
    assert peers_of(interactions, quick=True) == ["popularity", "co_visitation", "two_stage"]
    monkeypatch.setattr("services.trainer.peers.peers.EASE_ITEMS", interactions.items.height - 1)
    assert peers_of(interactions) == ["popularity", "bpr", "item_knn", "ials", "co_visitation"]
