"""The peers by name: how each is fitted, and where it can be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.trainer.data.interactions import Interactions
from services.trainer.p1 import Scorer, TargetRanks, ranks_of
from services.trainer.peers.counts import CoVisitationPeer, NeighbourPeer, PopularityPeer
from services.trainer.peers.factors import FactorPeer
from services.trainer.peers.linear import EasePeer, FadingEasePeer
from services.trainer.peers.task import Task
from services.trainer.peers.two_stage import TwoStagePeer

EASE_ITEMS = 20_000
"""Largest catalog for the peers with a cell for every pair of items."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One model to be measured against."""

    label: str
    """For people."""
    fit: Callable[[Task], Scorer]
    drawn: bool = False
    """Whether the fit depends on the seed."""
    square: bool = False
    """Whether it keeps a number for every pair of items."""
    quick: bool = False
    """Whether a quick evaluation takes it in."""


PEERS: Mapping[str, Peer] = {
    "popularity": Peer("popularity", lambda task: PopularityPeer.fit(task.history), quick=True),
    "bpr": Peer("BPR-MF", FactorPeer.fit_bpr, drawn=True),
    "item_knn": Peer("item-kNN (cosine)", lambda task: NeighbourPeer.fit(task.history)),
    "ials": Peer("iALS", FactorPeer.fit_als, drawn=True),
    "ease": Peer("EASE", lambda task: EasePeer.fit(task.history), square=True),
    "ease_recency": Peer("EASE (fading history)", lambda task: FadingEasePeer.fit(task.history), square=True),
    "co_visitation": Peer("ordered co-visitation", lambda task: CoVisitationPeer.fit(task.history), quick=True),
    "two_stage": Peer("two stages (LightGBM)", TwoStagePeer.fit, drawn=True, square=True, quick=True),
}
"""From the plainest to the bar for the whole funnel."""


def peers_of(interactions: Interactions, quick: bool = False) -> list[str]:
    """Names of the peers that a catalog of this size allows; `quick`: only those that a quick look needs."""
    fits = interactions.items.height <= EASE_ITEMS
    return [name for name, peer in PEERS.items() if (fits or not peer.square) and (peer.quick or not quick)]


def fit_peer(interactions: Interactions, name: str, seed: int = 0) -> Scorer:
    """The peer `name` of PEERS, fitted on everything but each user's last event."""
    return PEERS[name].fit(Task.of(interactions, seed))


def peer_ranks(interactions: Interactions, name: str, seed: int = 0) -> TargetRanks:
    """(T,) rank of each user's last event by the peer `name` of PEERS, fitted on everything before it."""
    return ranks_of(fit_peer(interactions, name, seed), interactions)
